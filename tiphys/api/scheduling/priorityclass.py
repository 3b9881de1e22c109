"""PriorityClass: a name for how important pods are."""

from typing import Annotated

from tiphys.api.declaration import At, Int32, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


@kind(plural="priorityclasses", short_names=("pc",), namespaced=False, generation=True)
class PriorityClass(Object, name="io.k8s.api.scheduling.v1.PriorityClass"):
    """A name for how important pods are."""

    apiVersion: str = "scheduling.k8s.io/v1"
    kind: str = "PriorityClass"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    value: Annotated[Int32, At(2, always=True)] = 0
    globalDefault: Annotated[bool, At(3)] = False
    description: Annotated[str, At(4)] = ""
    preemptionPolicy: Annotated[str | None, At(5, enum=("Never", "PreemptLowerPriority"))] = None


class PriorityClassList(Object, name="io.k8s.api.scheduling.v1.PriorityClassList"):
    """A list of PriorityClass objects."""

    apiVersion: str = "scheduling.k8s.io/v1"
    kind: str = "PriorityClassList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[PriorityClass], At(2, required=True, list_type="")] = []
