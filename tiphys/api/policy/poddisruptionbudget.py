"""PodDisruptionBudget: how many pods may be taken away at once."""

from typing import Annotated

from tiphys.api.declaration import At, Int32, IntOrString, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import Condition, LabelSelector, ListMeta, ObjectMeta


class PodDisruptionBudgetSpec(Model, name="io.k8s.api.policy.v1.PodDisruptionBudgetSpec"):
    """How many pods must stay."""

    minAvailable: Annotated[IntOrString | None, At(1)] = None
    selector: Annotated[LabelSelector | None, At(2, patch="replace")] = None
    maxUnavailable: Annotated[IntOrString | None, At(3)] = None
    unhealthyPodEvictionPolicy: Annotated[str | None, At(4, enum=("AlwaysAllow", "IfHealthyBudget"))] = None


class PodDisruptionBudgetStatus(Model, name="io.k8s.api.policy.v1.PodDisruptionBudgetStatus"):
    """How many pods may go now."""

    observedGeneration: Annotated[int, At(1)] = 0
    disruptedPods: Annotated[dict[str, Time], At(2)] = {}
    disruptionsAllowed: Annotated[Int32, At(3, always=True)] = 0
    currentHealthy: Annotated[Int32, At(4, always=True)] = 0
    desiredHealthy: Annotated[Int32, At(5, always=True)] = 0
    expectedPods: Annotated[Int32, At(6, always=True)] = 0
    conditions: Annotated[list[Condition], At(7, keys=("type",), merge="type")] = []


@kind(plural="poddisruptionbudgets", short_names=("pdb",), generation=True, subresources=(SubresourceInfo("status"),))
class PodDisruptionBudget(Object, name="io.k8s.api.policy.v1.PodDisruptionBudget"):
    """Bounds how many pods may be taken away at once."""

    apiVersion: str = "policy/v1"
    kind: str = "PodDisruptionBudget"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[PodDisruptionBudgetSpec, At(2)] = default(PodDisruptionBudgetSpec)
    status: Annotated[PodDisruptionBudgetStatus, At(3)] = default(PodDisruptionBudgetStatus)


class PodDisruptionBudgetList(Object, name="io.k8s.api.policy.v1.PodDisruptionBudgetList"):
    """A list of PodDisruptionBudget objects."""

    apiVersion: str = "policy/v1"
    kind: str = "PodDisruptionBudgetList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[PodDisruptionBudget], At(2, required=True, list_type="")] = []
