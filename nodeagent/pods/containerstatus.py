"""The status of one container in wire form: waiting, running or terminated, with its last state and restart count.

Pure.  A container without a record on disk keeps what the API already says about it, or is reported as
ContainerStatusUnknown when the API thinks it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from nodeagent.pods.observed import Memory, Observed, ObservedContainer, Waiting
from nodeagent.pods.restart import is_sidecar
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod
from tiphys.api.times import format_time

Kind = Literal["init", "container", "ephemeral"]
SCHEME = "tiphys://"
_LOST = "The container could not be located when the pod was terminated.  The container used to be Running"


def container_status(
    pod: Pod, container: Container, observed: Observed, memory: Memory, old: Mapping[str, Any], *, kind: Kind
) -> dict[str, Any]:
    """ContainerStatus of `container` as a wire dict; `old` is what the API says now ({} when nothing)."""
    latest = observed.latest(container.name)
    init = kind == "init"
    default = Waiting("PodInitializing" if pod.spec.initContainers else "ContainerCreating")
    waiting = memory.waiting.get(container.name)
    if latest is None:
        return _without_record(container, old, waiting or default, finished=_over(pod, observed))
    status: dict[str, Any] = {
        "name": container.name,
        "image": latest.image or container.image,
        "imageID": latest.image_id,
        "containerID": SCHEME + latest.id,
        "restartCount": latest.attempt,
        "state": {},
        "lastState": {},
        "ready": False,
        "started": False,
    }
    previous = observed.previous(container.name)
    last = terminated(previous) if previous is not None and previous.exited else dict(old.get("lastState") or {})
    if latest.running:
        probe = memory.probes.get(container.name)
        status["state"] = {"running": {"startedAt": _time(latest.started_at)}}
        status["started"] = probe.started if probe else True
        status["ready"] = (probe.ready and probe.started) if probe else True
        if kind == "ephemeral" or (init and not is_sidecar(container)):
            status["ready"] = False  # nothing is served by it
        if kind == "ephemeral":
            status["started"] = False
    elif latest.exited and waiting is not None:
        status["state"] = _waiting(waiting)
        last = terminated(latest)
    elif latest.exited:
        status["state"] = terminated(latest)
        status["ready"] = init and not is_sidecar(container) and latest.exit_code == 0
    else:
        status["state"] = _waiting(waiting or default)
    status["lastState"] = last
    _describe(container, latest, memory, status)
    return status


def terminated(container: ObservedContainer) -> dict[str, Any]:
    """The `terminated` state of an exited container."""
    reason = "OOMKilled" if container.oom_killed else ("Completed" if container.exit_code == 0 else "Error")
    state: dict[str, Any] = {
        "exitCode": container.exit_code,
        "reason": container.reason or reason,
        "startedAt": _time(container.started_at),
        "finishedAt": _time(container.finished_at),
        "containerID": SCHEME + container.id,
    }
    if container.message:
        state["message"] = container.message
    return {"terminated": {key: value for key, value in state.items() if value is not None}}


def _describe(container: Container, latest: ObservedContainer, memory: Memory, status: dict[str, Any]) -> None:
    """What the container has: resources, mounts, user, stop signal."""
    asked = container.resources.to_dict()
    view = memory.resize
    allocated = dict(view.allocated.get(container.name, asked)) if view is not None else asked
    actuated = dict(view.actuated.get(container.name, allocated)) if view is not None else asked
    if latest.running:
        status["resources"] = actuated
    if allocated.get("requests"):
        status["allocatedResources"] = dict(allocated["requests"])
    if latest.user is not None:
        uid, gid, groups = latest.user
        status["user"] = {
            "linux": {"uid": uid, "gid": gid, "supplementalGroups": [gid, *(g for g in groups if g != gid)]}
        }
    if container.lifecycle is not None and container.lifecycle.stopSignal:
        status["stopSignal"] = container.lifecycle.stopSignal
    mounts = [
        {"name": m.name, "mountPath": m.mountPath}
        | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if m.readOnly else {})
        for m in container.volumeMounts
    ]
    if mounts:
        status["volumeMounts"] = mounts


def _without_record(
    container: Container, old: Mapping[str, Any], waiting: Waiting, *, finished: bool
) -> dict[str, Any]:
    state = old.get("state") or {}
    restart_count = int(old.get("restartCount") or 0)
    last: dict[str, Any] = dict(old.get("lastState") or {})
    if old.get("containerID") and "terminated" in state:
        if finished:
            return dict(old)
        last = dict(state)
    elif old.get("containerID") and "running" in state:
        unknown = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": _LOST}
        if finished:
            return {**old, "state": {"terminated": unknown}, "ready": False, "started": False}
        last = {"terminated": unknown}
        restart_count += 1
    return {
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "restartCount": restart_count,
        "state": _waiting(waiting),
        "lastState": last,
        "ready": False,
        "started": False,
    }


def _over(pod: Pod, observed: Observed) -> bool:
    return bool(pod.metadata.deletionTimestamp) or pod.status.phase in ("Succeeded", "Failed")


def _waiting(waiting: Waiting) -> dict[str, Any]:
    state = {"reason": waiting.reason}
    if waiting.message:
        state["message"] = waiting.message
    return {"waiting": state}


def _time(moment: datetime | None) -> str | None:
    return format_time(moment) if moment is not None else None
