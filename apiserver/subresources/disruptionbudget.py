"""What a PodDisruptionBudget's status says to an eviction.  Pure, on plain objects."""

from __future__ import annotations

from typing import Any

from tiphys.api.status import StatusError, forbidden

Obj = dict[str, Any]
MAX_DISRUPTED_PODS = 2000
RETRY_SECONDS = 10
_ALLOWED = "DisruptionAllowed"


def refused(cause: str, retry_after_seconds: int | None = None) -> StatusError:
    """429 with the one cause clients look for."""
    return StatusError(
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
        details={"causes": [{"reason": "DisruptionBudget", "message": cause}]},
        retry_after_seconds=retry_after_seconds,
    )


def still_processed(name: str) -> StatusError:
    """The status is not about the budget, or the pod, as it is now."""
    return refused(f"The disruption budget {name} is still being processed by the server.", RETRY_SECONDS)


def is_ready(pod: Obj) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one.get("status") == "True" for one in conditions)


def is_unready_and_spare(pod: Obj, budget: Obj) -> bool:
    """The pod is not among the healthy ones, and the budget lets such pods go without a disruption."""
    if is_ready(pod):
        return False
    if budget.get("spec", {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status", {})
    desired, current = int(status.get("desiredHealthy", 0)), int(status.get("currentHealthy", 0))
    return 0 < desired <= current


def checked_and_decremented(budget: Obj, pod_name: str, now: str) -> Obj:
    """`budget`, ours to change, with one disruption less and the pod noted.  Raises 403, 429."""
    metadata, status = budget["metadata"], budget.setdefault("status", {})
    name, allowed = metadata["name"], status.get("disruptionsAllowed", 0)
    noted = status.get("disruptedPods") or {}
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        raise still_processed(name)
    if allowed < 0:
        raise _forbidden(name, "pdb disruptions allowed is negative")
    if len(noted) > MAX_DISRUPTED_PODS:
        raise _forbidden(name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
    if allowed == 0:
        raise refused(_why_none(budget))
    status["disruptionsAllowed"] = allowed - 1
    status["disruptedPods"] = {**noted, pod_name: now}
    if allowed == 1:
        _set_insufficient(status, metadata.get("generation", 0), now)
    return budget


def _why_none(budget: Obj) -> str:
    name, status = budget["metadata"]["name"], budget["status"]
    for one in status.get("conditions", []):
        if one["type"] == _ALLOWED and one.get("status") == "False" and one.get("reason") == "SyncFailed":
            text = one.get("message", "")
            return f"The disruption budget {name} does not allow evicting pods currently because it failed sync: {text}"
    desired, current = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    return f"The disruption budget {name} needs {desired} healthy pods and has {current} currently"


def _forbidden(name: str, text: str) -> StatusError:
    return forbidden("policy", "poddisruptionbudget", name, text)


def _set_insufficient(status: Obj, generation: int, now: str) -> None:
    condition = {
        "type": _ALLOWED,
        "status": "False",
        "observedGeneration": generation,
        "lastTransitionTime": now,
        "reason": "InsufficientPods",
        "message": "",
    }
    others = [one for one in status.get("conditions", []) if one["type"] != _ALLOWED]
    status["conditions"] = [*others, condition]
