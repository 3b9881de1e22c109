"""The pod conditions that the node owns: PodReadyToStartContainers, Initialized, Ready, ContainersReady (and
PodScheduled); PodResizePending and PodResizeInProgress while they hold; DisruptionTarget when the node ends the pod.

Pure.  A condition's lastTransitionTime moves only when its status changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from nodeagent.pods.observed import Memory, Observed
from nodeagent.pods.restart import is_sidecar
from tiphys.api.core.pod import Pod
from tiphys.api.times import format_time

RESIZE = ("PodResizePending", "PodResizeInProgress")
OWNED = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", *RESIZE)


def conditions(
    pod: Pod, observed: Observed, memory: Memory, status: Mapping[str, Any], now: datetime
) -> list[dict[str, Any]]:
    """All conditions of the pod, ours first in upstream's order, then those of others untouched."""
    old = {c["type"]: c for c in status.get("conditions") or []}
    phase = status["phase"]
    sandbox = observed.sandbox is not None and observed.sandbox.ready
    containers_ready = _containers_ready(pod, phase, status)
    new = [
        {"type": "PodReadyToStartContainers", "status": _bool(sandbox)},
        {"type": "Initialized", **_initialized(pod, phase, status)},
        {"type": "Ready", **_ready(pod, containers_ready, old)},
        {"type": "ContainersReady", **containers_ready},
        {"type": "PodScheduled", "status": "True"},
        *_resize(memory),
        *_disruption(memory),
    ]
    ours = {condition["type"] for condition in new} | set(OWNED)
    result = [_dated(pod, condition, old.get(condition["type"]), now) for condition in new]
    return result + [c for kind, c in old.items() if kind not in ours]


def _dated(pod: Pod, condition: dict[str, Any], before: Mapping[str, Any] | None, now: datetime) -> dict[str, Any]:
    if pod.metadata.generation:
        condition.setdefault("observedGeneration", pod.metadata.generation)
    same = before is not None and before.get("status") == condition["status"]
    since = before.get("lastTransitionTime") if before is not None and same else None
    condition["lastTransitionTime"] = since or format_time(now)
    return condition


def _resize(memory: Memory) -> list[dict[str, Any]]:
    """Present while they are true, absent otherwise."""
    view = memory.resize
    found: list[dict[str, Any]] = []
    if view is None:
        return found
    if view.pending is not None:
        pending = {"reason": view.pending.reason, "message": view.pending.message}
        found.append({"type": RESIZE[0], "status": "True", **pending})
    if view.in_progress:
        progress: dict[str, Any] = {"type": RESIZE[1], "status": "True"}
        if view.error:
            progress |= {"reason": "Error", "message": view.error}
        if view.generation:
            progress["observedGeneration"] = view.generation
        found.append(progress)
    return found


def _disruption(memory: Memory) -> list[dict[str, Any]]:
    ending = memory.ending
    if ending is None or not ending.disruption:
        return []
    words = {"reason": "TerminationByKubelet", "message": ending.condition_message or ending.message}
    return [{"type": "DisruptionTarget", "status": "True", **words}]


def _bool(value: bool) -> str:
    return "True" if value else "False"


def _names(names: Iterable[str]) -> str:
    return "[" + " ".join(names) + "]"


def _initialized(pod: Pod, phase: str, status: Mapping[str, Any]) -> dict[str, Any]:
    started = any("running" in s["state"] or "terminated" in {**s["state"], **s["lastState"]} for s in _main(status))
    incomplete = []
    for container, state in zip(pod.spec.initContainers, status.get("initContainerStatuses") or [], strict=False):
        done = state.get("started") if is_sidecar(container) else state["ready"]
        if not done:
            incomplete.append(container.name)
    if phase == "Succeeded":
        return {"status": "True", "reason": "PodCompleted"} if pod.spec.initContainers else {"status": "True"}
    if not incomplete or started:
        return {"status": "True"}
    return {
        "status": "False",
        "reason": "ContainersNotInitialized",
        "message": f"containers with incomplete status: {_names(incomplete)}",
    }


def _containers_ready(pod: Pod, phase: str, status: Mapping[str, Any]) -> dict[str, Any]:
    if phase == "Succeeded":
        return {"status": "False", "reason": "PodCompleted"}
    if phase == "Failed":
        return {"status": "False", "reason": "PodFailed"}
    unready = [s["name"] for s in _main(status) if not s["ready"]]
    for container, state in zip(pod.spec.initContainers, status.get("initContainerStatuses") or [], strict=False):
        if is_sidecar(container) and not state["ready"]:
            unready.insert(0, container.name)
    if unready:
        message = f"containers with unready status: {_names(unready)}"
        return {"status": "False", "reason": "ContainersNotReady", "message": message}
    return {"status": "True"}


def _ready(pod: Pod, containers_ready: Mapping[str, Any], old: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if containers_ready["status"] != "True":
        return dict(containers_ready)
    messages = []
    for gate in pod.spec.readinessGates:
        condition = old.get(gate.conditionType)
        if condition is None:
            messages.append(f'corresponding condition of pod readiness gate "{gate.conditionType}" does not exist.')
        elif condition.get("status") != "True":
            value = condition.get("status", "Unknown")
            messages.append(f'the status of pod readiness gate "{gate.conditionType}" is not "True", but {value}')
    if messages:
        return {"status": "False", "reason": "ReadinessGatesNotReady", "message": ", ".join(messages)}
    return {"status": "True"}


def _main(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(status.get("containerStatuses") or [])
