"""RuntimeClass: a way to run containers, by name."""

from typing import Annotated

from tiphys.api.core.scheduling import Toleration
from tiphys.api.declaration import At, Model, Object, Quantity, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class Overhead(Model, name="io.k8s.api.node.v1.Overhead"):
    """What a pod needs beside its containers."""

    podFixed: Annotated[dict[str, Quantity], At(1)] = {}


class Scheduling(Model, name="io.k8s.api.node.v1.Scheduling"):
    """Which nodes know a runtime class."""

    nodeSelector: Annotated[dict[str, str], At(1, atomic=True)] = {}
    tolerations: Annotated[list[Toleration], At(2)] = []


@kind(plural="runtimeclasses", namespaced=False)
class RuntimeClass(Object, name="io.k8s.api.node.v1.RuntimeClass"):
    """A way to run the containers of a pod."""

    apiVersion: str = "node.k8s.io/v1"
    kind: str = "RuntimeClass"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    handler: Annotated[str, At(2, required=True)] = ""
    overhead: Annotated[Overhead | None, At(3)] = None
    scheduling: Annotated[Scheduling | None, At(4)] = None


class RuntimeClassList(Object, name="io.k8s.api.node.v1.RuntimeClassList"):
    """A list of RuntimeClass objects."""

    apiVersion: str = "node.k8s.io/v1"
    kind: str = "RuntimeClassList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[RuntimeClass], At(2, required=True, list_type="")] = []
