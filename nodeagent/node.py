"""The Node object and its Lease: registration, status, heartbeats.

`conditions` and `registration` are pure.  The status is written when it changes, and every five minutes in any case;
the Lease is renewed every ten seconds and says that the agent lives.  Someone else's labels, annotations, taints and
conditions stay.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from nodeagent.machine import Machine
from nodeagent.runtime import handlers
from tiphys.api.coordination.lease import Lease
from tiphys.api.core.node import Node
from tiphys.api.times import format_micro_time, format_time, parse_time
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.rest import Client
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
REPORT_SECONDS = 300.0
RETRY_SECONDS = 1.0

_PRESSURES = {
    "MemoryPressure": (
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    ),
    "DiskPressure": (
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    ),
    "PIDPressure": (
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
    ),
}


@dataclass(frozen=True)
class NodeConfig:
    """How the agent registers itself."""

    name: str
    addresses: tuple[str, ...]
    port: int
    pod_cidr: str  # "": the control plane gives it
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Health:
    """`not_ready` is "" or the cause; `pressures` as the eviction manager says."""

    not_ready: str = ""
    pressures: Mapping[str, bool] | None = None


def registration(config: NodeConfig, machine: Machine) -> dict[str, Any]:
    """The Node as it is created."""
    labels = {
        "beta.kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/hostname": config.name,
        "kubernetes.io/os": "linux",
        **config.labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": config.name, "labels": labels, "annotations": dict(config.annotations)},
        "spec": {"podCIDR": config.pod_cidr, "podCIDRs": [config.pod_cidr]} if config.pod_cidr else {},
    }


def conditions(old: Sequence[Mapping[str, Any]], health: Health, now: datetime) -> list[dict[str, Any]]:
    """The four conditions of ours, with transition times kept where the status is the same."""
    known = {c["type"]: c for c in old}
    wanted: list[tuple[str, str, str, str]] = []
    for kind, (well, ill) in _PRESSURES.items():
        under = (health.pressures or {}).get(kind, False)
        wanted.append((kind, "True" if under else "False", *(ill if under else well)))
    if health.not_ready:
        wanted.append(("Ready", "False", "KubeletNotReady", health.not_ready))
    else:
        wanted.append(("Ready", "True", "KubeletReady", "kubelet is posting ready status"))
    result = []
    for kind, status, reason, message in wanted:
        before = known.get(kind, {})
        since = before.get("lastTransitionTime") if before.get("status") == status else None
        result.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": format_time(now),
                "lastTransitionTime": since or format_time(now),
            }
        )
    return result


def differs(old: Mapping[str, Any], new: Mapping[str, Any], now: datetime) -> bool:
    """Whether the status is to be written: it says something else, or the last heartbeat is five minutes old."""
    known = {c["type"]: c for c in old.get("conditions") or []}
    for condition in new["conditions"]:
        before = known.get(condition["type"], {})
        if any(before.get(key) != condition[key] for key in ("status", "reason", "message")):
            return True
        heartbeat = before.get("lastHeartbeatTime")
        if not heartbeat or now - parse_time(heartbeat) >= timedelta(seconds=REPORT_SECONDS):
            return True
    return any(old.get(key) != value for key, value in new.items() if key != "conditions")


class NodeKeeper:
    """Keeps Node and Lease true.  `health` and `images` are asked at every heartbeat and after `wake`."""

    def __init__(
        self,
        client: Client,
        config: NodeConfig,
        machine: Machine,
        clock: Clock,
        health: Callable[[], Health],
        images: Callable[[], list[dict[str, Any]]],
    ) -> None:
        self._client, self.config, self.machine, self._clock = client, config, machine, clock
        self._health, self._images = health, images
        self._woken = asyncio.Event()
        self.node: Node | None = None

    def wake(self) -> None:
        """Something the status shows has changed."""
        self._woken.set()

    async def look(self) -> Node:
        """The Node as it is now.  Raises ApiError, ConnectionFailed."""
        self.node = await self._client.get(Node, self.config.name)
        return self.node

    async def register(self) -> Node:
        """Make the Node or bring it up to date; tries until the API server answers."""
        while True:
            try:
                self.node = await self._register()
                return self.node
            except (ApiError, ConnectionFailed) as error:
                _log.info("cannot register yet", extra=fields(node=self.config.name, cause=error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _register(self) -> Node:
        wanted = registration(self.config, self.machine)
        try:
            found = await self._client.get(Node, self.config.name)
        except ApiError as error:
            if not error.not_found:
                raise
            return await self._client.create(Node.model_validate(wanted))
        own = {name: wanted["metadata"][name] for name in ("labels", "annotations")}
        patch: dict[str, Any] = {"metadata": own}
        if not found.spec.podCIDR and wanted["spec"]:
            patch["spec"] = wanted["spec"]
        return await self._client.patch(Node, self.config.name, "", patch)

    async def run(self) -> None:
        """Heartbeats until cancelled."""
        while True:
            try:
                await self._renew_lease()
                await self._report()
            except (ApiError, ConnectionFailed) as error:
                _log.warning("heartbeat failed", extra=fields(node=self.config.name, cause=error))
                if isinstance(error, ApiError) and error.not_found:
                    await self.register()
            try:
                async with asyncio.timeout(RENEW_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()

    async def _renew_lease(self) -> None:
        spec = {
            "holderIdentity": self.config.name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": format_micro_time(self._clock.now()),
        }
        try:
            await self._client.patch(Lease, self.config.name, LEASE_NAMESPACE, {"spec": spec})
        except ApiError as error:
            if not error.not_found:
                raise
            owner = {"apiVersion": "v1", "kind": "Node", "name": self.config.name, "uid": self._uid()}
            metadata = {"name": self.config.name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]}
            await self._client.create(Lease.model_validate({"metadata": metadata, "spec": spec}))

    def _uid(self) -> str:
        return self.node.metadata.uid if self.node is not None else ""

    def labels(self) -> Mapping[str, str]:
        """Of the Node as last seen; none before it is registered."""
        return self.node.metadata.labels if self.node is not None else {}

    async def _report(self) -> None:
        node = await self._client.get(Node, self.config.name)
        now, health = self._clock.now(), self._health()
        old = node.status.to_dict()
        new = self._status(old, health, now)
        if differs(old, new, now):
            patch = {"status": new}
            node = await self._client.patch(
                Node, self.config.name, "", patch, patch_type="strategic", subresource="status"
            )
        self.node = node

    def _status(self, old: Mapping[str, Any], health: Health, now: datetime) -> dict[str, Any]:
        addresses = [{"type": "InternalIP", "address": ip} for ip in self.config.addresses]
        return {
            "addresses": [*addresses, {"type": "Hostname", "address": self.config.name}],
            "allocatable": {**extended(old.get("capacity")), **self.machine.allocatable()},
            "capacity": {**extended(old.get("capacity")), **self.machine.capacity()},
            "conditions": conditions(old.get("conditions") or [], health, now),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.config.port}},
            "images": self._images(),
            **handlers.node_status(handlers.find_handlers(), user_namespaces=handlers.user_namespaces()),
            "nodeInfo": {**self.machine.node_info(), **_kept(old)},
        }


def extended(capacity: Mapping[str, str] | None) -> dict[str, str]:
    """Resources that somebody else has added to the Node: all of them are for pods."""
    return {name: text for name, text in (capacity or {}).items() if "/" in name}


def _kept(old: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of nodeInfo that are not ours."""
    info = old.get("nodeInfo") or {}
    return {key: info[key] for key in ("swap",) if info.get(key)}


def default_name() -> str:
    """The machine's name as a node name."""
    return platform.node().lower()
