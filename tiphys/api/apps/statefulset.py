"""StatefulSet: pods with a name and storage of their own."""

from typing import Annotated

from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import PodTemplateSpec
from tiphys.api.declaration import At, Int32, IntOrString, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import LabelSelector, ListMeta, ObjectMeta


class RollingUpdateStatefulSetStrategy(Model, name="io.k8s.api.apps.v1.RollingUpdateStatefulSetStrategy"):
    """Which pods of a stateful set are replaced."""

    partition: Annotated[Int32 | None, At(1)] = None
    maxUnavailable: Annotated[IntOrString | None, At(2)] = None


class StatefulSetUpdateStrategy(Model, name="io.k8s.api.apps.v1.StatefulSetUpdateStrategy"):
    """How the pods of a stateful set are replaced."""

    type: Annotated[str, At(1, enum=("OnDelete", "RollingUpdate"))] = ""
    rollingUpdate: Annotated[RollingUpdateStatefulSetStrategy | None, At(2)] = None


class StatefulSetPersistentVolumeClaimRetentionPolicy(
    Model, name="io.k8s.api.apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy"
):
    """What becomes of the claims when pods go."""

    whenDeleted: Annotated[str, At(1)] = ""
    whenScaled: Annotated[str, At(2)] = ""


class StatefulSetOrdinals(Model, name="io.k8s.api.apps.v1.StatefulSetOrdinals"):
    """Where the numbers of the pods begin."""

    start: Annotated[Int32, At(1, always=True)] = 0


class StatefulSetSpec(Model, name="io.k8s.api.apps.v1.StatefulSetSpec"):
    """What a stateful set is to be."""

    replicas: Annotated[Int32 | None, At(1)] = None
    selector: Annotated[LabelSelector | None, At(2, required=True)] = None
    template: Annotated[PodTemplateSpec, At(3, required=True)] = default(PodTemplateSpec)
    volumeClaimTemplates: Annotated[list[PersistentVolumeClaim], At(4)] = []
    serviceName: Annotated[str, At(5, always=True)] = ""
    podManagementPolicy: Annotated[str, At(6, enum=("OrderedReady", "Parallel"))] = ""
    updateStrategy: Annotated[StatefulSetUpdateStrategy, At(7)] = default(StatefulSetUpdateStrategy)
    revisionHistoryLimit: Annotated[Int32 | None, At(8)] = None
    minReadySeconds: Annotated[Int32, At(9)] = 0
    persistentVolumeClaimRetentionPolicy: Annotated[
        StatefulSetPersistentVolumeClaimRetentionPolicy | None,
        At(10),
    ] = None
    ordinals: Annotated[StatefulSetOrdinals | None, At(11)] = None


class StatefulSetCondition(Model, name="io.k8s.api.apps.v1.StatefulSetCondition"):
    """One aspect of a stateful set's state."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    lastTransitionTime: Annotated[Time | None, At(3, always=True)] = None
    reason: Annotated[str, At(4)] = ""
    message: Annotated[str, At(5)] = ""


class StatefulSetStatus(Model, name="io.k8s.api.apps.v1.StatefulSetStatus"):
    """How far a stateful set has come."""

    observedGeneration: Annotated[int, At(1)] = 0
    replicas: Annotated[Int32, At(2, required=True)] = 0
    readyReplicas: Annotated[Int32, At(3)] = 0
    currentReplicas: Annotated[Int32, At(4)] = 0
    updatedReplicas: Annotated[Int32, At(5)] = 0
    currentRevision: Annotated[str, At(6)] = ""
    updateRevision: Annotated[str, At(7)] = ""
    collisionCount: Annotated[Int32 | None, At(9)] = None
    conditions: Annotated[list[StatefulSetCondition], At(10, keys=("type",), merge="type")] = []
    availableReplicas: Annotated[Int32, At(11, always=True)] = 0


@kind(
    plural="statefulsets",
    short_names=("sts",),
    categories=("all",),
    generation=True,
    subresources=(
        SubresourceInfo("scale", "Scale", group="autoscaling"),
        SubresourceInfo("status"),
    ),
)
class StatefulSet(Object, name="io.k8s.api.apps.v1.StatefulSet"):
    """Keeps numbered pods running, each with its own name and storage."""

    apiVersion: str = "apps/v1"
    kind: str = "StatefulSet"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[StatefulSetSpec, At(2)] = default(StatefulSetSpec)
    status: Annotated[StatefulSetStatus, At(3)] = default(StatefulSetStatus)


class StatefulSetList(Object, name="io.k8s.api.apps.v1.StatefulSetList"):
    """A list of StatefulSet objects."""

    apiVersion: str = "apps/v1"
    kind: str = "StatefulSetList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[StatefulSet], At(2, required=True, list_type="")] = []
