"""Lifecycle hooks of containers: postStart and preStop by exec, httpGet or sleep."""

from __future__ import annotations

import asyncio

from nodeagent.pods import handlers
from nodeagent.pods.node import Node
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod
from tiphys.api.core.probes import LifecycleHandler


async def run_hook(
    node: Node,
    pod: Pod,
    container: Container,
    container_id: str,
    handler: LifecycleHandler,
    pod_ip: str,
    limit_seconds: float,
) -> tuple[bool, str]:
    """(success, output); `limit_seconds` bounds the whole hook."""
    if handler.sleep is not None:
        await asyncio.sleep(min(float(handler.sleep.seconds), limit_seconds))
        return True, ""
    if handler.exec is not None:
        return await handlers.run_exec(node.runtime, container_id, list(handler.exec.command), limit_seconds)
    if handler.httpGet is not None:
        return await handlers.http_get(
            node.http, handler.httpGet, container, pod_ip, limit_seconds, agent="kube-lifecycle/1.36"
        )
    return True, ""


async def stop_container(
    node: Node, pod: Pod | None, container_id: str, name: str, grace_seconds: int, pod_ip: str
) -> None:
    """preStop hook, stop signal, grace, kill.

    The hook's time counts against the grace, two seconds are left at least.
    """
    started = node.clock.monotonic()
    handler = None
    if pod is not None:
        container = next((c for c in [*pod.spec.containers, *pod.spec.initContainers] if c.name == name), None)
        handler = container.lifecycle.preStop if container is not None and container.lifecycle is not None else None
        if container is not None and handler is not None and grace_seconds > 0:
            await _pre_stop(node, pod, container, container_id, handler, pod_ip, grace_seconds)
    left = grace_seconds - (node.clock.monotonic() - started)
    if handler is not None and grace_seconds > 0:
        left = max(left, 2.0)
    await node.runtime.stop(container_id, max(left, 0.0))


async def _pre_stop(
    node: Node,
    pod: Pod,
    container: Container,
    container_id: str,
    handler: LifecycleHandler,
    pod_ip: str,
    grace_seconds: int,
) -> None:
    try:
        async with asyncio.timeout(grace_seconds):
            success, output = await run_hook(node, pod, container, container_id, handler, pod_ip, grace_seconds)
    except TimeoutError:
        success, output = False, "the hook did not end within the grace period"
    if not success:
        node.event(pod, "Warning", "FailedPreStopHook", f"PreStopHook failed: {output}"[:1024], container.name)
