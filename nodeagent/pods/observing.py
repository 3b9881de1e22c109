"""Turns what the runtime and the disk say about a pod into `Observed`."""

from __future__ import annotations

import os
from pathlib import Path

from nodeagent.pods import observed as labels
from nodeagent.pods.node import Node
from nodeagent.pods.observed import Observed, ObservedContainer, ObservedSandbox
from nodeagent.runtime.interface import ContainerStatus, Sandbox
from nodeagent.server.logfile import last_lines

MESSAGE_LIMIT_BYTES = 4096
_FALLBACK_LINES, _FALLBACK_BYTES = 80, 2048


async def observe(node: Node, pod_uid: str) -> tuple[Observed, Sandbox | None]:
    """The pod's containers and sandbox as they are now."""
    with node.metrics.relist.time():
        statuses = await node.runtime.list(pod_uid)
    node.metrics.relisted()
    sandbox = node.sandboxes.get(pod_uid)
    view = None if sandbox is None else ObservedSandbox(ips=(sandbox.ip,) if sandbox.ip else ())
    return Observed(tuple(observed_container(status) for status in statuses), view), sandbox


def observed_container(status: ContainerStatus) -> ObservedContainer:
    """One container; the termination message is read from the agent's own file."""
    spec = status.spec
    message = status.message
    if status.state == "exited":
        message = _termination_message(status) or message
    return ObservedContainer(
        id=status.id,
        name=spec.name,
        attempt=spec.attempt,
        state=status.state,
        pid=status.pid,
        started_at=status.started_at,
        finished_at=status.finished_at,
        exit_code=status.exit_code or 0,
        oom_killed=status.oom_killed,
        message=message,
        image=spec.image,
        image_id=spec.image_id,
        spec_hash=spec.labels.get(labels.LABEL_SPEC_HASH, ""),
        reason=status.reason,
        user=(spec.user.uid, spec.user.gid, spec.user.groups),
    )


def _termination_message(status: ContainerStatus) -> str:
    text = b""
    path = status.spec.labels.get(labels.LABEL_MESSAGE_FILE, "")
    if path:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            descriptor = -1
        if descriptor >= 0:
            text = os.read(descriptor, MESSAGE_LIMIT_BYTES)
            os.close(descriptor)
    fallback = status.spec.labels.get(labels.LABEL_MESSAGE_POLICY) == "FallbackToLogsOnError"
    if not text and fallback and status.exit_code:
        text = last_lines(Path(status.spec.log_path), _FALLBACK_LINES, _FALLBACK_BYTES)
    return text.decode("utf-8", "replace")
