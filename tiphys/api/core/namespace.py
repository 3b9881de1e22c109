"""Namespace: a scope for names."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


class NamespaceSpec(Model, name="io.k8s.api.core.v1.NamespaceSpec"):
    """What must happen before a namespace may go."""

    finalizers: Annotated[list[str], At(1)] = []


class NamespaceCondition(Model, name="io.k8s.api.core.v1.NamespaceCondition"):
    """One aspect of a namespace's state."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    lastTransitionTime: Annotated[Time | None, At(4, always=True)] = None
    reason: Annotated[str, At(5)] = ""
    message: Annotated[str, At(6)] = ""


class NamespaceStatus(Model, name="io.k8s.api.core.v1.NamespaceStatus"):
    """Where a namespace is in its life."""

    phase: Annotated[str, At(1, enum=("Active", "Terminating"))] = ""
    conditions: Annotated[list[NamespaceCondition], At(2, keys=("type",), merge="type")] = []


@kind(
    plural="namespaces",
    short_names=("ns",),
    namespaced=False,
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    subresources=(
        SubresourceInfo("finalize", verbs=("update",)),
        SubresourceInfo("status"),
    ),
)
class Namespace(Object, name="io.k8s.api.core.v1.Namespace"):
    """A scope for names; deleting it deletes everything in it."""

    apiVersion: str = "v1"
    kind: str = "Namespace"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[NamespaceSpec, At(2)] = default(NamespaceSpec)
    status: Annotated[NamespaceStatus, At(3)] = default(NamespaceStatus)


class NamespaceList(Object, name="io.k8s.api.core.v1.NamespaceList"):
    """A list of Namespace objects."""

    apiVersion: str = "v1"
    kind: str = "NamespaceList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[Namespace], At(2, required=True, list_type="")] = []
