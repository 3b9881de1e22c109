"""PriorityLevelConfiguration: how much of the server a class of requests may use."""

from typing import Annotated

from tiphys.api.declaration import At, Int32, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


class QueuingConfiguration(Model, name="io.k8s.api.flowcontrol.v1.QueuingConfiguration"):
    """How waiting requests are put into queues."""

    queues: Annotated[Int32, At(1, always=True)] = 0
    handSize: Annotated[Int32, At(2, always=True)] = 0
    queueLengthLimit: Annotated[Int32, At(3, always=True)] = 0


class LimitResponse(Model, name="io.k8s.api.flowcontrol.v1.LimitResponse"):
    """What happens to requests above the limit."""

    type: Annotated[str, At(1, required=True)] = ""
    queuing: Annotated[QueuingConfiguration | None, At(2)] = None


class LimitedPriorityLevelConfiguration(Model, name="io.k8s.api.flowcontrol.v1.LimitedPriorityLevelConfiguration"):
    """How a limited level shares the server with others."""

    nominalConcurrencyShares: Annotated[Int32 | None, At(1, always=True)] = None
    limitResponse: Annotated[LimitResponse, At(2)] = default(LimitResponse)
    lendablePercent: Annotated[Int32 | None, At(3)] = None
    borrowingLimitPercent: Annotated[Int32 | None, At(4)] = None


class ExemptPriorityLevelConfiguration(Model, name="io.k8s.api.flowcontrol.v1.ExemptPriorityLevelConfiguration"):
    """How an exempt level shares the server with others."""

    nominalConcurrencyShares: Annotated[Int32 | None, At(1)] = None
    lendablePercent: Annotated[Int32 | None, At(2)] = None


class PriorityLevelConfigurationSpec(Model, name="io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationSpec"):
    """Whether and how a level is limited."""

    type: Annotated[str, At(1, required=True)] = ""
    limited: Annotated[LimitedPriorityLevelConfiguration | None, At(2)] = None
    exempt: Annotated[ExemptPriorityLevelConfiguration | None, At(3)] = None


class PriorityLevelConfigurationCondition(Model, name="io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationCondition"):
    """One aspect of a priority level's state."""

    type: Annotated[str, At(1)] = ""
    status: Annotated[str, At(2)] = ""
    lastTransitionTime: Annotated[Time | None, At(3, always=True)] = None
    reason: Annotated[str, At(4)] = ""
    message: Annotated[str, At(5)] = ""


class PriorityLevelConfigurationStatus(Model, name="io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationStatus"):
    """What became of a priority level."""

    conditions: Annotated[list[PriorityLevelConfigurationCondition], At(1, keys=("type",), merge="type")] = []


@kind(
    plural="prioritylevelconfigurations",
    namespaced=False,
    generation=True,
    subresources=(SubresourceInfo("status"),),
)
class PriorityLevelConfiguration(Object, name="io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration"):
    """How many requests of a sort are served at once, and how many may wait."""

    apiVersion: str = "flowcontrol.apiserver.k8s.io/v1"
    kind: str = "PriorityLevelConfiguration"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[PriorityLevelConfigurationSpec, At(2)] = default(PriorityLevelConfigurationSpec)
    status: Annotated[PriorityLevelConfigurationStatus, At(3)] = default(PriorityLevelConfigurationStatus)


class PriorityLevelConfigurationList(Object, name="io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationList"):
    """A list of PriorityLevelConfiguration objects."""

    apiVersion: str = "flowcontrol.apiserver.k8s.io/v1"
    kind: str = "PriorityLevelConfigurationList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[PriorityLevelConfiguration], At(2, required=True, list_type="")] = []
