"""What a pod asks of its node, in whole numbers: CPU in thousandths, everything else in units.  Pure."""

from __future__ import annotations

from collections.abc import Mapping

from nodeagent.pods.restart import is_sidecar
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod
from tiphys.api.quantity import milli, value


def amount(resource: str, text: str) -> int:
    """A quantity of that resource as a number."""
    return milli(text) if resource == "cpu" else value(text)


def amounts(quantities: Mapping[str, str]) -> dict[str, int]:
    return {name: amount(name, text) for name, text in quantities.items()}


def pod_requests(pod: Pod) -> dict[str, int]:
    """Upstream's PodRequests: what runs at the same time, or the largest moment of the init phase, plus overhead.

    Requests of the pod as a whole (spec.resources) stand instead of its containers'.
    """
    running = _sum(container for container in pod.spec.containers)
    beside: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in pod.spec.initContainers:
        own = amounts(container.resources.requests)
        moment = _add(beside, own)
        if is_sidecar(container):
            beside = moment
        peak = {name: max(peak.get(name, 0), moment.get(name, 0)) for name in {*peak, *moment}}
    running = _add(running, beside)
    total = {name: max(running.get(name, 0), peak.get(name, 0)) for name in {*running, *peak}}
    if pod.spec.resources is not None:
        total |= amounts(pod.spec.resources.requests)
    return _add(total, amounts(pod.spec.overhead))


def _sum(containers: object) -> dict[str, int]:
    total: dict[str, int] = {}
    for container in containers:  # type: ignore[attr-defined]
        assert isinstance(container, Container)
        total = _add(total, amounts(container.resources.requests))
    return total


def _add(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {*one, *other}}
