"""Carries out in-place resizes for one pod: keeps its allocation on disk and its cgroups in step.

    DIR/pods/UID/allocation.json    written before the first limit is changed

What must stay true: a pod's own cgroup grows before its containers' and shrinks after them; what failed is tried
again at the next turn and said in the condition PodResizeInProgress.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import orjson

from nodeagent.pods import allocation as pure
from nodeagent.pods.admission import NodeView
from nodeagent.pods.allocation import Allocation
from nodeagent.pods.node import Node
from nodeagent.pods.observed import Observed, ResizeView, Waiting
from nodeagent.pods.qos import qos_class
from nodeagent.pods.resources import container_resources, pod_resources
from nodeagent.runtime.interface import Resources, RuntimeFailure
from tiphys.api.core.pod import Pod
from tiphys.logs import fields

_log = logging.getLogger(__name__)

RETRY_SECONDS = 10.0


class PodResizes:
    """`settle` at every turn; `pod` of `running` is what the pod is to be run as."""

    def __init__(self, node: Node, pod_uid: str) -> None:
        self._node, self._uid = node, pod_uid
        self._allocation: Allocation | None = None
        self._pending: Waiting | None = None
        self._error = ""
        self._restart: frozenset[str] = frozenset()
        self._read = False

    def running(self, pod: Pod) -> Pod:
        """The pod with the resources that are allocated to it."""
        allocation = self._load()
        return pod if allocation is None else pure.with_resources(pod, allocation.allocated)

    @property
    def deferred(self) -> bool:
        """Whether it waits for other pods to give something back."""
        return self._pending is not None and self._pending.reason == "Deferred"

    def view(self, observed: Observed) -> ResizeView | None:
        if self._allocation is None:
            return None
        return pure.view(self._allocation, observed, self._pending, self._error, self._restart)

    async def settle(
        self, pod: Pod, observed: Observed, others: Callable[[], Sequence[Pod]], node: Callable[[], NodeView]
    ) -> float | None:
        """Agree to what the pod desires if it fits, and give it to its containers; seconds until another try."""
        allocation = self._load()
        wanted = pure.desired(pod)
        if allocation is None:
            self._keep(Allocation(wanted, wanted, pod.metadata.generation))
            return None
        if wanted == allocation.allocated:
            agreed, pending = allocation, None
        else:
            agreed, pending = pure.decide(pod, allocation, others(), node())
        if pending is not None and pending != self._pending:
            reason = f"Resize{pending.reason}"
            self._event(pod, "Warning", reason, f"Pod resize {pending.reason}", wanted, pending.message)
        self._pending = pending
        if agreed is not allocation:
            self._keep(agreed)
            self._event(pod, "Normal", "ResizeStarted", "Pod resize started", agreed.allocated)
        return await self._actuate(pure.with_resources(pod, agreed.allocated), observed)

    async def _actuate(self, pod: Pod, observed: Observed) -> float | None:
        assert self._allocation is not None
        containers, self._restart = pure.to_update(pod, self._allocation, observed)
        if not containers and not self._restart:
            return None
        has, gets = (pod_resources(one) for one in (pure.with_resources(pod, self._allocation.actuated), pod))
        try:
            await self._update_pod(pod, wider(has, gets))
            for container in containers:
                latest = observed.latest(container.name)
                assert latest is not None
                await self._node.runtime.update(latest.id, container_resources(container))
                self._keep(pure.actuated(self._allocation, container.name))
            await self._update_pod(pod, gets)
        except (RuntimeFailure, OSError) as error:
            _log.warning("resize failed", extra=fields(pod=self._uid, cause=error))
            self._error = str(error)
            return RETRY_SECONDS
        self._error = ""
        self._completed(pod)
        return None

    async def _update_pod(self, pod: Pod, wanted: Resources) -> None:
        path = self._node.cgroups.pod_path(self._uid, qos_class(pod))
        await asyncio.to_thread(self._node.cgroups.update, path, wanted)

    def made(self, pod: Pod, name: str) -> None:
        """A container was made from what is allocated."""
        if self._allocation is not None and self._allocation.actuated.get(name) != self._allocation.allocated.get(name):
            self._keep(pure.actuated(self._allocation, name))
            self._completed(pod)

    def _completed(self, pod: Pod) -> None:
        assert self._allocation is not None
        if self._allocation.actuated == self._allocation.allocated:
            self._event(pod, "Normal", "ResizeCompleted", "Pod resize completed", self._allocation.allocated)

    def _event(self, pod: Pod, kind: str, reason: str, words: str, resources: object, error: str = "") -> None:
        assert isinstance(resources, dict)
        shown = [{"name": name, "resources": amounts} for name, amounts in resources.items()]
        detail = {"containers": shown, "generation": pod.metadata.generation, **({"error": error} if error else {})}
        self._node.event(pod, kind, reason, f"{words}: {orjson.dumps(detail).decode()}")

    def _path(self) -> Path:
        return self._node.volumes.pod_dir(self._uid) / "allocation.json"

    def _load(self) -> Allocation | None:
        if not self._read:
            self._read = True
            try:
                self._allocation = Allocation(**orjson.loads(self._path().read_bytes()))
            except (OSError, ValueError, TypeError):
                self._allocation = None
        return self._allocation

    def _keep(self, allocation: Allocation) -> None:
        self._allocation = allocation
        path = self._path()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(".allocation.json")
        temporary.write_bytes(orjson.dumps(allocation))
        temporary.replace(path)


def wider(one: Resources, other: Resources) -> Resources:
    """Room for both; a limit of zero is none."""

    def most(first: int, second: int) -> int:
        return max(first, second) if first and second else 0

    return replace(
        other,
        cpu_shares=max(one.cpu_shares, other.cpu_shares),
        cpu_quota_us=most(one.cpu_quota_us, other.cpu_quota_us),
        memory_limit_bytes=most(one.memory_limit_bytes, other.memory_limit_bytes),
    )
