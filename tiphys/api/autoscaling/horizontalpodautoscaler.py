"""HorizontalPodAutoscaler, version 1: replicas by CPU use."""

from typing import Annotated

from tiphys.api.declaration import At, Int32, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


class CrossVersionObjectReference(Model, name="io.k8s.api.autoscaling.v1.CrossVersionObjectReference", atomic=True):
    """Names the object that is scaled."""

    kind: Annotated[str, At(1, required=True)] = ""
    name: Annotated[str, At(2, required=True)] = ""
    apiVersion: Annotated[str, At(3)] = ""


class HorizontalPodAutoscalerSpec(Model, name="io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerSpec"):
    """What is scaled, between which bounds, and by what."""

    scaleTargetRef: Annotated[
        CrossVersionObjectReference,
        At(1, required=True),
    ] = default(CrossVersionObjectReference)
    minReplicas: Annotated[Int32 | None, At(2)] = None
    maxReplicas: Annotated[Int32, At(3, required=True)] = 0
    targetCPUUtilizationPercentage: Annotated[Int32 | None, At(4)] = None


class HorizontalPodAutoscalerStatus(Model, name="io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerStatus"):
    """How far the scaling has come."""

    observedGeneration: Annotated[int | None, At(1)] = None
    lastScaleTime: Annotated[Time | None, At(2)] = None
    currentReplicas: Annotated[Int32, At(3, required=True)] = 0
    desiredReplicas: Annotated[Int32, At(4, required=True)] = 0
    currentCPUUtilizationPercentage: Annotated[Int32 | None, At(5)] = None


@kind(
    plural="horizontalpodautoscalers",
    short_names=("hpa",),
    categories=("all",),
    subresources=(SubresourceInfo("status"),),
)
class HorizontalPodAutoscaler(Object, name="io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler"):
    """Changes the number of replicas as they are used more or less."""

    apiVersion: str = "autoscaling/v1"
    kind: str = "HorizontalPodAutoscaler"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[
        HorizontalPodAutoscalerSpec,
        At(2, required=True, always=False),
    ] = default(HorizontalPodAutoscalerSpec)
    status: Annotated[HorizontalPodAutoscalerStatus, At(3)] = default(HorizontalPodAutoscalerStatus)


class HorizontalPodAutoscalerList(Object, name="io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerList"):
    """A list of HorizontalPodAutoscaler objects."""

    apiVersion: str = "autoscaling/v1"
    kind: str = "HorizontalPodAutoscalerList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[HorizontalPodAutoscaler], At(2, required=True, list_type="")] = []
