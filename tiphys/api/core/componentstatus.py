"""ComponentStatus: whether a part of the control plane is well; kept for old clients."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class ComponentCondition(Model, name="io.k8s.api.core.v1.ComponentCondition"):
    """One aspect of a component's health."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    message: Annotated[str, At(3)] = ""
    error: Annotated[str, At(4)] = ""


@kind(plural="componentstatuses", short_names=("cs",), namespaced=False, verbs=("get", "list"))
class ComponentStatus(Object, name="io.k8s.api.core.v1.ComponentStatus"):
    """Whether a part of the control plane is well."""

    apiVersion: str = "v1"
    kind: str = "ComponentStatus"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    conditions: Annotated[list[ComponentCondition], At(2, keys=("type",), merge="type")] = []


class ComponentStatusList(Object, name="io.k8s.api.core.v1.ComponentStatusList"):
    """A list of ComponentStatus objects."""

    apiVersion: str = "v1"
    kind: str = "ComponentStatusList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ComponentStatus], At(2, required=True, list_type="")] = []
