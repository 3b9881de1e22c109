"""HorizontalPodAutoscaler, version 2: replicas by any metric.  This is the version that is stored."""

from typing import Annotated

from tiphys.api.autoscaling.metrics import CrossVersionObjectReference, MetricSpec, MetricStatus
from tiphys.api.declaration import NULL_IS_EMPTY, At, Int32, Model, Object, Quantity, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


class HPAScalingPolicy(Model, name="io.k8s.api.autoscaling.v2.HPAScalingPolicy"):
    """How fast replicas may change."""

    type: Annotated[str, At(1, required=True)] = ""
    value: Annotated[Int32, At(2, required=True)] = 0
    periodSeconds: Annotated[Int32, At(3, required=True)] = 0


class HPAScalingRules(Model, name="io.k8s.api.autoscaling.v2.HPAScalingRules"):
    """How replicas change in one direction."""

    stabilizationWindowSeconds: Annotated[Int32 | None, At(3)] = None
    selectPolicy: Annotated[str | None, At(1)] = None
    policies: Annotated[list[HPAScalingPolicy], At(2)] = []
    tolerance: Annotated[Quantity | None, At(4)] = None


class HorizontalPodAutoscalerBehavior(Model, name="io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior"):
    """How replicas change, up and down."""

    scaleUp: Annotated[HPAScalingRules | None, At(1)] = None
    scaleDown: Annotated[HPAScalingRules | None, At(2)] = None


class HorizontalPodAutoscalerSpec(Model, name="io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec"):
    """What is scaled, between which bounds, and by what."""

    scaleTargetRef: Annotated[
        CrossVersionObjectReference,
        At(1, required=True),
    ] = default(CrossVersionObjectReference)
    minReplicas: Annotated[Int32 | None, At(2)] = None
    maxReplicas: Annotated[Int32, At(3, required=True)] = 0
    metrics: Annotated[list[MetricSpec], At(4)] = []
    behavior: Annotated[HorizontalPodAutoscalerBehavior | None, At(5)] = None


class HorizontalPodAutoscalerCondition(Model, name="io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerCondition"):
    """One aspect of an autoscaler's state."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    lastTransitionTime: Annotated[Time | None, At(3, always=True)] = None
    reason: Annotated[str, At(4)] = ""
    message: Annotated[str, At(5)] = ""


class HorizontalPodAutoscalerStatus(Model, name="io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerStatus"):
    """How far the scaling has come."""

    observedGeneration: Annotated[int | None, At(1)] = None
    lastScaleTime: Annotated[Time | None, At(2)] = None
    currentReplicas: Annotated[Int32, At(3)] = 0
    desiredReplicas: Annotated[Int32, At(4, required=True)] = 0
    currentMetrics: Annotated[list[MetricStatus], At(5, always=True), NULL_IS_EMPTY] = []
    conditions: Annotated[list[HorizontalPodAutoscalerCondition], At(6, keys=("type",), merge="type")] = []


@kind(
    plural="horizontalpodautoscalers",
    short_names=("hpa",),
    categories=("all",),
    subresources=(SubresourceInfo("status"),),
)
class HorizontalPodAutoscaler(Object, name="io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler"):
    """Changes the number of replicas as they are used more or less."""

    apiVersion: str = "autoscaling/v2"
    kind: str = "HorizontalPodAutoscaler"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[
        HorizontalPodAutoscalerSpec,
        At(2, required=True, always=False),
    ] = default(HorizontalPodAutoscalerSpec)
    status: Annotated[HorizontalPodAutoscalerStatus, At(3)] = default(HorizontalPodAutoscalerStatus)


class HorizontalPodAutoscalerList(Object, name="io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerList"):
    """A list of HorizontalPodAutoscaler objects."""

    apiVersion: str = "autoscaling/v2"
    kind: str = "HorizontalPodAutoscalerList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[HorizontalPodAutoscaler], At(2, required=True, list_type="")] = []
