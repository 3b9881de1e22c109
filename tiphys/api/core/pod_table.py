"""How pods are printed.  The status text is a summary of phase, containers, gates and deletion; upstream's order."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, NONE, age, age_of, name_of

JsonObject = dict[str, Any]

columns = (
    NAME,
    Column("Ready", description="Containers that are ready, of all that are meant to run."),
    Column("Status", description="What the pod is doing, or why it is not running."),
    Column("Restarts", description="How often containers were restarted, and when last."),
    AGE,
    Column("IP", priority=1, description="The address of the pod."),
    Column("Node", priority=1, description="The node the pod is bound to."),
    Column("Nominated Node", priority=1, description="The node that is being cleared for the pod."),
    Column("Readiness Gates", priority=1, description="Extra conditions that are true, of those the pod waits for."),
)


def cells(pod: JsonObject, now: datetime) -> list[Any]:
    spec, status = pod.get("spec", {}), pod.get("status", {})
    summary = summarize(pod)
    restarts = str(summary.restarts)
    if summary.restarts and summary.restarted:
        restarts = f"{summary.restarts} ({age(summary.restarted, now)} ago)"
    addresses = status.get("podIPs") or [{}]
    return [
        name_of(pod),
        f"{summary.ready}/{summary.total}",
        summary.reason,
        restarts,
        age_of(pod, now),
        addresses[0].get("ip") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _readiness_gates(spec, status),
    ]


def row_conditions(pod: JsonObject) -> list[JsonObject]:
    phase = pod.get("status", {}).get("phase")
    if phase == "Succeeded":
        message = "The pod has completed successfully."
    elif phase == "Failed":
        message = "The pod failed."
    else:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": message}]


class Summary(NamedTuple):
    reason: str
    ready: int
    total: int
    restarts: int
    restarted: str  # when the last container that was restarted had ended; "" if unknown


def summarize(pod: JsonObject) -> Summary:
    """The status text and the counts of a pod."""
    spec, status = pod.get("spec", {}), pod.get("status", {})
    sidecars = {c.get("name") for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    total = len(spec.get("containers") or ()) + len(sidecars)
    phase = status.get("phase", "")
    reason = status.get("reason") or phase
    if any(c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in _conditions(status)):
        reason = "SchedulingGated"

    init_reason, ready, init_restarts, sidecar_restarts = _init_containers(spec, status, sidecars)
    restarts = init_restarts
    if init_reason:
        reason = init_reason
    if not init_reason or _is_true(status, "Initialized"):
        reason, running, restarts = _containers(status, reason, sidecar_restarts)
        ready += running
        if reason == "Completed" and running:
            reason = "Running" if _is_true(status, "Ready") else "NotReady"

    if pod.get("metadata", {}).get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif phase not in ("Succeeded", "Failed"):
            reason = "Terminating"
    return Summary(reason, ready, total, restarts.times, restarts.last)


class _Restarts(NamedTuple):
    times: int = 0
    last: str = ""

    def plus(self, container: JsonObject) -> "_Restarts":
        ended = ((container.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        return _Restarts(self.times + container.get("restartCount", 0), max(self.last, ended))


def _init_containers(spec: JsonObject, status: JsonObject, sidecars: set[Any]) -> tuple[str, int, _Restarts, _Restarts]:
    """(reason "Init:..." while initializing else "", ready sidecars, restarts, restarts of sidecars)"""
    ready, restarts, of_sidecars = 0, _Restarts(), _Restarts()
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        is_sidecar = container.get("name") in sidecars
        restarts = restarts.plus(container)
        if is_sidecar:
            of_sidecars = of_sidecars.plus(container)
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            continue
        if is_sidecar and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            reason = "Init:" + _why_terminated(terminated)
        elif waiting.get("reason") not in (None, "", "PodInitializing"):
            reason = f"Init:{waiting['reason']}"
        else:
            reason = f"Init:{index}/{len(spec.get('initContainers') or ())}"
        return reason, ready, restarts, of_sidecars
    return "", ready, restarts, of_sidecars


def _containers(status: JsonObject, reason: str, restarts: _Restarts) -> tuple[str, int, _Restarts]:
    """(reason, containers that run and are ready, restarts); the first container has the last word."""
    running = 0
    for container in reversed(status.get("containerStatuses") or ()):
        restarts = restarts.plus(container)
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif terminated is not None:
            reason = _why_terminated(terminated)
        elif container.get("ready") and state.get("running") is not None:
            running += 1
    return reason, running, restarts


def _why_terminated(terminated: JsonObject) -> str:
    if reason := terminated.get("reason"):
        return str(reason)
    if signal := terminated.get("signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _conditions(status: JsonObject) -> Iterator[JsonObject]:
    return iter(status.get("conditions") or ())


def _is_true(status: JsonObject, condition: str) -> bool:
    return any(c.get("type") == condition and c.get("status") == "True" for c in _conditions(status))


def _readiness_gates(spec: JsonObject, status: JsonObject) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return NONE
    return f"{sum(_is_true(status, gate.get('conditionType', '')) for gate in gates)}/{len(gates)}"
