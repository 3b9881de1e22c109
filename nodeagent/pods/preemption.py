"""Which pods make room for a critical one: the kubelet's CriticalPodAdmissionHandler.  Pure.

As few as possible, the least important first: pods without guarantees before those with, and of equals the one whose
end frees the most beyond need least.  Critical pods are never chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nodeagent.pods.admission import NodeView, is_critical, shortage
from nodeagent.pods.observed import Ending
from nodeagent.pods.podrequests import pod_requests
from nodeagent.pods.qos import qos_class
from tiphys.api.core.pod import Pod

PREEMPTED = Ending(
    "Preempting",
    "Preempted in order to admit critical pod",
    0,
    condition_message="Pod was preempted by Kubelet to accommodate a critical pod.",
)
_RANK = {"BestEffort": 0, "Burstable": 1, "Guaranteed": 2}


def victims(pod: Pod, others: Sequence[Pod], node: NodeView) -> list[Pod] | None:
    """The pods that must end so that the critical `pod` fits; None when that would not be enough."""
    wanted = pod_requests(pod)
    chosen: list[Pod] = []
    candidates = sorted((one for one in others if not is_critical(one)), key=lambda one: _rank(one, wanted))
    for candidate in candidates:
        if shortage(wanted, _without(others, chosen), node) is None:
            break
        chosen.append(candidate)
    if shortage(wanted, _without(others, chosen), node) is not None:
        return None
    for candidate in reversed(list(chosen)):  # what was chosen early may have become needless
        fewer = [one for one in chosen if one is not candidate]
        if shortage(wanted, _without(others, fewer), node) is None:
            chosen = fewer
    return chosen


def _rank(pod: Pod, wanted: Mapping[str, int]) -> tuple[int, int, int]:
    requests = pod_requests(pod)
    useful = sum(min(requests.get(name, 0), number) for name, number in wanted.items())
    return _RANK[qos_class(pod)], pod.spec.priority or 0, -useful


def _without(pods: Sequence[Pod], gone: Sequence[Pod]) -> list[Pod]:
    return [pod for pod in pods if not any(pod is one for one in gone)]
