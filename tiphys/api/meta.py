"""What every object carries and every request may say: metadata, list metadata, selectors, conditions, options."""

from typing import Annotated

from tiphys.api.declaration import At, FieldsV1, Int32, Model, Object, RawExtension, Time, alias, default


class OwnerReference(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference", atomic=True):
    """Names an object this one belongs to; when the owner goes, the garbage collector takes this one too."""

    apiVersion: Annotated[str, At(5, required=True)] = ""
    kind: Annotated[str, At(1, required=True)] = ""
    name: Annotated[str, At(3, required=True)] = ""
    uid: Annotated[str, At(4, required=True)] = ""
    controller: Annotated[bool | None, At(6)] = None
    blockOwnerDeletion: Annotated[bool | None, At(7)] = None


class ManagedFieldsEntry(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry"):
    """Which fields one manager owns, and since when."""

    manager: Annotated[str, At(1)] = ""
    operation: Annotated[str, At(2)] = ""
    apiVersion: Annotated[str, At(3)] = ""
    time: Annotated[Time | None, At(4)] = None
    fieldsType: Annotated[str, At(6)] = ""
    fieldsV1: Annotated[FieldsV1 | None, At(7)] = None
    subresource: Annotated[str, At(8)] = ""


class ObjectMeta(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"):
    """What every stored object carries."""

    name: Annotated[str, At(1, "The name, unique among objects of its kind in its namespace.")] = ""
    generateName: Annotated[str, At(2, "A prefix from which the server makes a unique name when none is given.")] = ""
    namespace: Annotated[str, At(3, "The namespace the name is unique in; empty for cluster-wide kinds.")] = ""
    selfLink: Annotated[str, At(4)] = ""
    uid: Annotated[str, At(5, "Identifies this object for all time; set by the server.")] = ""
    resourceVersion: Annotated[
        str,
        At(6, "Changes with every write; give it back to write only if nobody else has."),
    ] = ""
    generation: Annotated[int, At(7, "Counts the changes of what is wanted.")] = 0
    creationTimestamp: Annotated[
        Time,
        At(8, "CreationTimestamp is a timestamp set by the server when it made the object.", omit_zero=True),
    ] = ""
    deletionTimestamp: Annotated[Time | None, At(9, "When the object is to be gone; set by a deletion.")] = None
    deletionGracePeriodSeconds: Annotated[int | None, At(10, "How long the deletion may take.")] = None
    labels: Annotated[dict[str, str], At(11, "Short facts to select objects by.")] = {}
    annotations: Annotated[dict[str, str], At(12, "Notes of tools and people; not for selecting.")] = {}
    ownerReferences: Annotated[
        list[OwnerReference],
        At(13, "The objects this one belongs to.", keys=("uid",), merge="uid"),
    ] = []
    finalizers: Annotated[
        list[str],
        At(
            14,
            "What must be done before the object may go; each is removed by who has done it.",
            list_type="set",
            patch="merge",
        ),
    ] = []
    managedFields: Annotated[
        list[ManagedFieldsEntry],
        At(17, "Which manager owns which fields; kept by the server."),
    ] = []


class ShardInfo(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.ShardInfo"):
    """Which share of a sharded list this is."""

    selector: Annotated[str, At(1, required=True)] = ""


class ListMeta(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"):
    """What every list carries."""

    selfLink: Annotated[str, At(1)] = ""
    resourceVersion: Annotated[str, At(2)] = ""
    continue_: Annotated[str, At(3, "Where the next page begins; empty on the last page."), alias("continue")] = ""
    remainingItemCount: Annotated[int | None, At(4, "How many objects come after this page.")] = None
    shardInfo: Annotated[ShardInfo | None, At(5)] = None


class LabelSelectorRequirement(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement"):
    """One rule of a label selector."""

    key: Annotated[str, At(1, required=True)] = ""
    operator: Annotated[str, At(2, required=True)] = ""
    values: Annotated[list[str], At(3)] = []


class LabelSelector(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector", atomic=True):
    """Selects objects by their labels: all parts must hold; an empty selector selects everything."""

    matchLabels: Annotated[dict[str, str], At(1, "Labels an object must have.")] = {}
    matchExpressions: Annotated[list[LabelSelectorRequirement], At(2, "Rules an object's labels must obey.")] = []


class FieldSelectorRequirement(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.FieldSelectorRequirement"):
    """One rule of a field selector."""

    key: Annotated[str, At(1, required=True)] = ""
    operator: Annotated[str, At(2, required=True)] = ""
    values: Annotated[list[str], At(3)] = []


class Condition(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.Condition"):
    """One aspect of an object's state, as an observer last saw it."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    observedGeneration: Annotated[int, At(3)] = 0
    lastTransitionTime: Annotated[Time | None, At(4, required=True)] = None
    reason: Annotated[str, At(5, required=True)] = ""
    message: Annotated[str, At(6, required=True)] = ""


class Preconditions(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions"):
    """What must be true of an object for it to be deleted."""

    uid: Annotated[str | None, At(1)] = None
    resourceVersion: Annotated[str | None, At(2)] = None


class DeleteOptions(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"):
    """How a deletion is meant."""

    kind: Annotated[str, At()] = ""
    apiVersion: Annotated[str, At()] = ""
    gracePeriodSeconds: Annotated[int | None, At(1)] = None
    preconditions: Annotated[Preconditions | None, At(2)] = None
    orphanDependents: Annotated[bool | None, At(3)] = None
    propagationPolicy: Annotated[str | None, At(4)] = None
    dryRun: Annotated[list[str], At(5)] = []
    ignoreStoreReadErrorWithClusterBreakingPotential: Annotated[bool | None, At(6)] = None


class StatusCause(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.StatusCause"):
    """One of several reasons for a failure."""

    reason: Annotated[str, At(1)] = ""
    message: Annotated[str, At(2)] = ""
    field: Annotated[str, At(3)] = ""


class StatusDetails(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.StatusDetails"):
    """What a failure was about."""

    name: Annotated[str, At(1)] = ""
    group: Annotated[str, At(2)] = ""
    kind: Annotated[str, At(3)] = ""
    uid: Annotated[str, At(6)] = ""
    causes: Annotated[list[StatusCause], At(4)] = []
    retryAfterSeconds: Annotated[Int32, At(5)] = 0


class Status(Object, name="io.k8s.apimachinery.pkg.apis.meta.v1.Status"):
    """The outcome of a call that does not answer with an object."""

    apiVersion: str = "v1"
    kind: str = "Status"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    status: Annotated[str, At(2)] = ""
    message: Annotated[str, At(3)] = ""
    reason: Annotated[str, At(4)] = ""
    details: Annotated[StatusDetails | None, At(5)] = None
    code: Annotated[Int32, At(6)] = 0


class WatchEvent(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent"):
    """One event of a watch."""

    type: Annotated[str, At(1, required=True)] = ""
    object: Annotated[RawExtension, At(2, required=True)] = None
