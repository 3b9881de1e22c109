"""The status of a pod in wire form: phase, conditions, container statuses, addresses.

`generate` is pure.  What must stay true: a terminal phase (Succeeded, Failed) is never left, and is not entered
while a container runs; conditions that belong to others (PodScheduled, readiness gates, DisruptionTarget) pass
through unchanged; the same inputs give the same status, so an unchanged pod is never written again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nodeagent.pods.conditions import conditions
from nodeagent.pods.containerstatus import Kind, container_status
from nodeagent.pods.observed import Memory, Observed
from nodeagent.pods.qos import qos_class
from nodeagent.pods.restart import deadline_passed, is_sidecar, restarts, rule_says
from tiphys.api.core.pod import Pod
from tiphys.api.times import format_time

TERMINAL = ("Succeeded", "Failed")
MESSAGES_LIMIT_BYTES = 12 * 1024


@dataclass(frozen=True)
class NodeAddresses:
    """The node's addresses, for hostIP(s) and for pods on the node's network."""

    ips: tuple[str, ...]


def generate(
    pod: Pod, observed: Observed, memory: Memory, node: NodeAddresses, now: datetime, age_seconds: float = 0.0
) -> dict[str, Any]:
    """The whole PodStatus for `pod` now, starting from the one in the API (`pod.status`)."""
    old: dict[str, Any] = pod.status.to_dict()
    status = dict(old)
    if pod.metadata.generation:
        status["observedGeneration"] = pod.metadata.generation
    status["qosClass"] = qos_class(pod)
    status.setdefault("startTime", format_time(now))
    _addresses(pod, observed, node, status)
    if memory.rejected is not None:
        message = f"Pod was rejected: {memory.rejected.message}"
        status.update(phase="Failed", reason=memory.rejected.reason, message=message)
        return status
    statuses = _container_statuses(pod, observed, memory, old, status)
    over = bool(pod.metadata.deletionTimestamp)
    phase = phase_of(pod, statuses[0], statuses[1], over=over, restarting=_restarting(pod, observed, memory))
    if memory.ending is not None:
        phase = "Failed"
        status["reason"], status["message"] = memory.ending.reason, memory.ending.message
    elif deadline_passed(pod, age_seconds) and old.get("phase") not in TERMINAL:
        phase = "Failed"
        status["reason"] = "DeadlineExceeded"
        status["message"] = "Pod was active on the node longer than the specified deadline"
    status["phase"] = _merged_phase(old.get("phase", ""), phase, observed)
    status["conditions"] = conditions(pod, observed, memory, status, now)
    return status


def _restarting(pod: Pod, observed: Observed, memory: Memory) -> bool:
    """Whether a container of the pod will be started (again)."""
    for container in pod.spec.containers:
        latest = observed.latest(container.name)
        if latest is None or not latest.exited or restarts(pod, container, latest, memory.replaced):
            return True
    return False


def _container_statuses(
    pod: Pod, observed: Observed, memory: Memory, old: Mapping[str, Any], status: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    def all_of(field: str, containers: Sequence[Any], kind: Kind) -> list[dict[str, Any]]:
        known = {s["name"]: s for s in old.get(field) or []}
        result = [container_status(pod, c, observed, memory, known.get(c.name, {}), kind=kind) for c in containers]
        if result:
            status[field] = result
        return result

    init = all_of("initContainerStatuses", pod.spec.initContainers, "init")
    main = all_of("containerStatuses", pod.spec.containers, "container")
    ephemeral = all_of("ephemeralContainerStatuses", pod.spec.ephemeralContainers, "ephemeral")
    _shorten([*init, *main, *ephemeral])
    return init, main


def _shorten(statuses: Sequence[Mapping[str, Any]]) -> None:
    """All termination messages of a pod together are at most 12 KiB: each container gets its share."""
    share = MESSAGES_LIMIT_BYTES // max(1, len(statuses))
    for status in statuses:
        for state in (status["state"], status["lastState"]):
            ended = state.get("terminated") or {}
            message = ended.get("message", "").encode()
            if len(message) > share:
                state["terminated"] = {**ended, "message": message[:share].decode("utf-8", "ignore")}


def _addresses(pod: Pod, observed: Observed, node: NodeAddresses, status: dict[str, Any]) -> None:
    if node.ips:
        status["hostIP"] = node.ips[0]
        status["hostIPs"] = [{"ip": ip} for ip in node.ips]
    ips = node.ips if pod.spec.hostNetwork else (observed.sandbox.ips if observed.sandbox else ())
    if ips:
        status["podIP"] = ips[0]
        status["podIPs"] = [{"ip": ip} for ip in ips]


def phase_of(
    pod: Pod,
    init: Sequence[Mapping[str, Any]],
    main: Sequence[Mapping[str, Any]],
    *,
    over: bool,
    restarting: bool | None = None,
) -> str:
    """Upstream's getPhase.  `over`: no container will be started again (the pod is being deleted); `restarting`: one
    that ended will be, by default where the pod's policy is Always."""
    pending_init = failed_init = 0
    for_good = False
    ran = any("running" in s["state"] or "terminated" in s["state"] or "terminated" in s["lastState"] for s in main)
    for container, status in zip(pod.spec.initContainers, init, strict=True):
        if is_sidecar(container):
            pending_init += 0 if ran or status.get("started") else 1
            continue
        ended = status["state"].get("terminated") or (
            status["lastState"].get("terminated") if "waiting" in status["state"] else None
        )
        if ended is None:
            pending_init += 0 if ran else 1
        elif ended["exitCode"] != 0:
            failed_init += 1
            policy = container.restartPolicy or pod.spec.restartPolicy
            for_good = for_good or (policy == "Never" and not rule_says(container, ended["exitCode"]))
    if for_good and not ran:
        return "Failed"
    running = sum("running" in s["state"] for s in main)
    waiting = sum("waiting" in s["state"] and "terminated" not in s["lastState"] for s in main)
    ended_states = [
        s["state"].get("terminated") or s["lastState"]["terminated"]
        for s in main
        if "terminated" in s["state"] or ("waiting" in s["state"] and "terminated" in s["lastState"])
    ]
    if pending_init or (failed_init and not ran) or waiting:
        return ("Failed" if ended_states or failed_init else "Pending") if over and not running else "Pending"
    if running:
        return "Running"
    if ended_states:
        again = pod.spec.restartPolicy in ("", "Always") if restarting is None else restarting
        return _ended_phase(pod, ended_states, over=over, restarting=again)
    return "Pending"


def _ended_phase(pod: Pod, ended: Sequence[Mapping[str, Any]], *, over: bool, restarting: bool) -> str:
    if not over and restarting:
        return "Running"
    return "Succeeded" if all(state["exitCode"] == 0 for state in ended) else "Failed"


def _merged_phase(old: str, new: str, observed: Observed) -> str:
    if old in TERMINAL:
        return old
    if new in TERMINAL and observed.running():
        return old or "Pending"
    return new
