"""Runs the probes of running containers: one asyncio task per probe, no thread and no process of its own.

`ContainerProbes.view` is what `plan` and `status` see.  After a restart of the agent the probes begin with what the
API says of the same container, so that a healthy pod does not leave its Services for a moment.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from nodeagent.pods import grpchealth, handlers
from nodeagent.pods.node import Node
from nodeagent.pods.observed import ProbeView
from nodeagent.pods.probedecision import ProbeType, Streak, kill_message, observe, period_seconds, timeout_seconds
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod
from tiphys.api.core.probes import HTTPGetAction, Probe


class ContainerProbes:
    """The probes of one attempt of one container; `changed` is called when `view` changes."""

    def __init__(
        self,
        node: Node,
        pod: Pod,
        container: Container,
        container_id: str,
        pod_ip: str,
        changed: Callable[[], None],
        *,
        was_started: bool = False,
        was_ready: bool = False,
    ) -> None:
        self.node, self.pod, self.container = node, pod, container
        self.container_id, self.pod_ip, self._changed = container_id, pod_ip, changed
        self.hook_done = True
        given: dict[ProbeType, Probe | None] = {
            "Startup": container.startupProbe,
            "Liveness": container.livenessProbe,
            "Readiness": container.readinessProbe,
        }
        self.probes = {kind: probe for kind, probe in given.items() if probe is not None}
        self.streaks: dict[ProbeType, Streak] = {kind: Streak() for kind in self.probes}
        if was_started and "Startup" in self.streaks:
            self.streaks["Startup"] = Streak(verdict=True, last=True, length=1)
        if was_ready and "Readiness" in self.streaks:
            self.streaks["Readiness"] = Streak(verdict=True, last=True, length=1)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin probing."""
        for kind, probe in self.probes.items():
            self._tasks.append(asyncio.create_task(self._run(kind, probe), name=f"probe {kind} {self.container.name}"))

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def stop_restarting(self) -> None:
        """The pod is being deleted: only readiness matters from now on."""
        for task in [task for task in self._tasks if not task.get_name().startswith("probe Readiness")]:
            task.cancel()
            self._tasks.remove(task)

    @property
    def started(self) -> bool:
        return self.hook_done and ("Startup" not in self.streaks or self.streaks["Startup"].verdict is True)

    @property
    def view(self) -> ProbeView:
        ready = self.started and ("Readiness" not in self.streaks or self.streaks["Readiness"].verdict is True)
        reason, grace = "", None
        kinds: tuple[ProbeType, ...] = ("Startup", "Liveness")
        for kind in kinds:
            streak = self.streaks.get(kind)
            if streak is not None and streak.verdict is False:
                reason = kill_message(self.container.name, kind)
                grace = self.probes[kind].terminationGracePeriodSeconds
        return ProbeView(self.started, ready, reason, grace)

    async def _run(self, kind: ProbeType, probe: Probe) -> None:
        period = period_seconds(probe)
        if self.streaks[kind].verdict is None:
            await asyncio.sleep(float(probe.initialDelaySeconds))
        else:
            await asyncio.sleep(random.random() * period)  # after an agent restart: spread, results are known
        while True:
            if kind == "Startup" or self.started:
                before = self.view
                success, output = await self._measured(kind, probe)
                self.streaks[kind] = observe(self.streaks[kind], success, probe)
                if not success:
                    self._report(kind, output)
                if self.view != before:
                    self._changed()
                if kind == "Startup" and self.streaks[kind].verdict is not None:
                    return
            await asyncio.sleep(period if kind == "Startup" or self.started else min(period, 1.0))

    async def _measured(self, kind: ProbeType, probe: Probe) -> tuple[bool, str]:
        meta, began = self.pod.metadata, self.node.clock.monotonic()
        success, output = await self._once(kind, probe)
        result, seconds = "successful" if success else "failed", self.node.clock.monotonic() - began
        pod = meta.namespace, meta.name, meta.uid
        self.node.metrics.probes.observe(kind, result, self.container.name, pod, seconds)
        return success, output

    async def _http(self, kind: ProbeType, action: HTTPGetAction, limit: float) -> tuple[bool, str]:
        http, container = self.node.http, self.container
        success, output = await handlers.http_get(http, action, container, self.pod_ip, limit, follow=True)
        if success and output.startswith(handlers.REDIRECTED):
            message = f"{kind} probe warning: {output}"
            self.node.event(self.pod, "Warning", "ProbeWarning", message, container.name)
        return success, output

    async def _once(self, kind: ProbeType, probe: Probe) -> tuple[bool, str]:
        limit = timeout_seconds(probe)
        if probe.exec is not None:
            return await handlers.run_exec(self.node.runtime, self.container_id, list(probe.exec.command), limit)
        if probe.httpGet is not None:
            return await self._http(kind, probe.httpGet, limit)
        if probe.grpc is not None:
            return await grpchealth.check(self.pod_ip, probe.grpc.port, probe.grpc.service or "", limit)
        if probe.tcpSocket is not None:
            port = handlers.port_number(probe.tcpSocket.port, self.container)
            return await handlers.tcp_connect(probe.tcpSocket.host or self.pod_ip, port, limit)
        return False, "this kind of probe is not supported on this node"

    def _report(self, kind: ProbeType, output: str) -> None:
        message = f"{kind} probe failed: {output}"
        self.node.event(self.pod, "Warning", "Unhealthy", message, self.container.name)
