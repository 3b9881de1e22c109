"""What each metric of an autoscaler calls for: the metric is asked for, judged, and reported.

What must stay true: a metric nobody can read never lets the target shrink; it only leaves the others to make it grow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from controllers.podautoscaler_metrics import Metrics
from controllers.podautoscaler_replicas import (
    NoReplicas,
    Tolerance,
    Wish,
    by_average,
    by_shared_average,
    by_utilization,
    by_value,
    group_pods,
    ready_count,
    requests_of,
)
from tiphys.api.autoscaling.horizontalpodautoscaler_v2 import HorizontalPodAutoscaler
from tiphys.api.autoscaling.metrics import (
    ContainerResourceMetricSource,
    ContainerResourceMetricStatus,
    CrossVersionObjectReference,
    ExternalMetricStatus,
    MetricIdentifier,
    MetricSpec,
    MetricStatus,
    MetricTarget,
    MetricValueStatus,
    ObjectMetricStatus,
    PodsMetricStatus,
    ResourceMetricSource,
    ResourceMetricStatus,
)
from tiphys.api.core.pod import Pod
from tiphys.api.quantity import canonical, milli
from tiphys.api.selectors import from_label_selector

_DEFAULT_CPU_PERCENT = 80


@dataclass(frozen=True)
class Target:
    namespace: str
    selector: str
    pods: Sequence[Pod]
    current: int  # spec.replicas of the scale
    replicas: int  # status.replicas of the scale
    tolerance: Tolerance
    now: datetime


@dataclass(frozen=True)
class Proposal:
    replicas: int
    name: str
    status: MetricStatus


class Unable(Exception):
    """No decision is possible; `reason` is the condition's."""

    def __init__(self, reason: str, message: str, proposals: Sequence[Proposal] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.proposals = list(proposals)


ResourceOf = Callable[[CrossVersionObjectReference], Awaitable[str]]


async def propose(
    autoscaler: HorizontalPodAutoscaler, target: Target, metrics: Metrics, resource_of: ResourceOf
) -> list[Proposal]:
    """A proposal for each metric that can be read; at least one.  Raises Unable."""
    found: list[Proposal] = []
    failed: list[Unable] = []
    for spec in autoscaler.spec.metrics or [_default()]:
        try:
            found.append(await _one(spec, target, metrics, resource_of))
        except NoReplicas as error:
            failed.append(_unable(spec, error))
        except Unable as error:
            failed.append(Unable("FailedGetObjectMetric", str(error)))
    if failed and (not found or max(one.replicas for one in found) < target.current):
        raise Unable(failed[0].reason, str(failed[0]), found)
    return found


def _default() -> MetricSpec:
    target = MetricTarget(type="Utilization", averageUtilization=_DEFAULT_CPU_PERCENT)
    return MetricSpec(type="Resource", resource=ResourceMetricSource(name="cpu", target=target))


def _unable(spec: MetricSpec, error: NoReplicas) -> Unable:
    if spec.resource is not None:
        text = f"the HPA was unable to compute the replica count: failed to get {spec.resource.name} "
        source = "utilization" if spec.resource.target.averageUtilization is not None else "resource metric value"
        return Unable("FailedGetResourceMetric", f"{text}{source}: {error}")
    kinds = {
        "ContainerResource": "ContainerResourceMetric",
        "Pods": "PodsMetric",
        "Object": "ObjectMetric",
        "External": "ExternalMetric",
    }
    reason = f"FailedGet{kinds.get(spec.type, 'Metric')}"
    return Unable(reason, f"the HPA was unable to compute the replica count: {error}")


async def _one(spec: MetricSpec, target: Target, metrics: Metrics, resource_of: ResourceOf) -> Proposal:
    if spec.resource is not None:
        wish, name = await _by_resource(spec.resource, target, metrics, "")
        status = ResourceMetricStatus(name=spec.resource.name, current=_current(wish))
        return Proposal(wish.replicas, name, MetricStatus(type=spec.type, resource=status))
    if spec.containerResource is not None:
        source = spec.containerResource
        wish, name = await _by_resource(source, target, metrics, source.container)
        held = ContainerResourceMetricStatus(name=source.name, container=source.container, current=_current(wish))
        return Proposal(wish.replicas, name, MetricStatus(type=spec.type, containerResource=held))
    if spec.pods is not None:
        metric = spec.pods.metric
        samples = await metrics.pods(target.namespace, target.selector, metric.name, _selector(metric))
        groups = group_pods(target.pods, samples, "", target.now)
        wish = by_average(target.current, groups, samples, _average(spec.pods.target), target.tolerance)
        pods_status = PodsMetricStatus(metric=metric, current=_current(wish))
        return Proposal(wish.replicas, f"pods metric {metric.name}", MetricStatus(type=spec.type, pods=pods_status))
    if spec.object is not None:
        described, metric = spec.object.describedObject, spec.object.metric
        resource = await resource_of(described)
        value = await metrics.object(target.namespace, resource, described.name, metric.name, _selector(metric))
        wish, current = _shared(spec.object.target, value, target)
        object_status = ObjectMetricStatus(metric=metric, current=current, describedObject=described)
        name = f"{described.kind} metric {metric.name}"
        return Proposal(wish.replicas, name, MetricStatus(type=spec.type, object=object_status))
    if spec.external is not None:
        metric = spec.external.metric
        value = await metrics.external(target.namespace, metric.name, _selector(metric))
        wish, current = _shared(spec.external.target, value, target)
        external = ExternalMetricStatus(metric=metric, current=current)
        name = f"external metric {metric.name}({_selector(metric) or 'nil'})"
        return Proposal(wish.replicas, name, MetricStatus(type=spec.type, external=external))
    raise NoReplicas(f'unknown metric source type "{spec.type}"')


async def _by_resource(
    source: ResourceMetricSource | ContainerResourceMetricSource, target: Target, metrics: Metrics, container: str
) -> tuple[Wish, str]:
    samples = await metrics.resource(target.namespace, target.selector, source.name, container)
    groups = group_pods(target.pods, samples, source.name, target.now)
    name = f"{source.name} container resource" if container else f"{source.name} resource"
    if source.target.averageUtilization is None:
        return by_average(target.current, groups, samples, _average(source.target), target.tolerance), name
    counted = [pod for pod in target.pods if pod.metadata.name not in groups.ignored]
    requests = requests_of(counted, source.name, container)
    percent = source.target.averageUtilization
    wish = by_utilization(target.current, groups, samples, requests, percent, target.tolerance)
    return wish, f"{name} utilization (percentage of request)"


def _average(target: MetricTarget) -> int:
    if target.averageValue is None:
        raise NoReplicas("invalid metric source: neither an average value nor a utilization was given")
    return milli(target.averageValue)


def _shared(target: MetricTarget, value: int, where: Target) -> tuple[Wish, MetricValueStatus]:
    if target.averageValue is not None:
        wish = by_shared_average(where.replicas, value, milli(target.averageValue), where.tolerance)
        return wish, MetricValueStatus(averageValue=_text(wish.average_milli))
    if target.value is None:
        raise NoReplicas("invalid metric source: neither a value nor an average value was given")
    replicas = by_value(where.current, ready_count(where.pods), value, milli(target.value), where.tolerance)
    return Wish(replicas, None, value), MetricValueStatus(value=_text(value))


def _current(wish: Wish) -> MetricValueStatus:
    return MetricValueStatus(averageValue=_text(wish.average_milli), averageUtilization=wish.utilization)


def _text(amount_milli: int) -> str:
    return canonical(f"{amount_milli}m")


def _selector(metric: MetricIdentifier) -> str:
    return "" if metric.selector is None else str(from_label_selector(metric.selector))
