"""LimitRange: bounds and defaults for the objects of a namespace."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, Quantity, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class LimitRangeItem(Model, name="io.k8s.api.core.v1.LimitRangeItem"):
    """Bounds and defaults for one type of object."""

    type: Annotated[str, At(1, required=True)] = ""
    max: Annotated[dict[str, Quantity], At(2)] = {}
    min: Annotated[dict[str, Quantity], At(3)] = {}
    default: Annotated[dict[str, Quantity], At(4)] = {}
    defaultRequest: Annotated[dict[str, Quantity], At(5)] = {}
    maxLimitRequestRatio: Annotated[dict[str, Quantity], At(6)] = {}


class LimitRangeSpec(Model, name="io.k8s.api.core.v1.LimitRangeSpec"):
    """Bounds and defaults."""

    limits: Annotated[list[LimitRangeItem], At(1, required=True)] = []


@kind(plural="limitranges", short_names=("limits",))
class LimitRange(Object, name="io.k8s.api.core.v1.LimitRange"):
    """Bounds what single objects of a namespace may use."""

    apiVersion: str = "v1"
    kind: str = "LimitRange"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[LimitRangeSpec, At(2)] = default(LimitRangeSpec)


class LimitRangeList(Object, name="io.k8s.api.core.v1.LimitRangeList"):
    """A list of LimitRange objects."""

    apiVersion: str = "v1"
    kind: str = "LimitRangeList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[LimitRange], At(2, required=True, list_type="")] = []
