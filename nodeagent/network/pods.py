"""PodNetwork: attach a pod's network namespace to the node's bridge, and detach it.

One bridge and one range of addresses per node.  The gateway is the bridge; the node routes between it and the rest of
the world, and hides pods behind its own address where the destination is outside of the cluster.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from nodeagent.network import links, masquerade
from nodeagent.network.hostports import HostPorts
from nodeagent.network.ipam import AddressesExhausted, AddressPool
from nodeagent.runtime import syscalls
from nodeagent.runtime.interface import PortMapping, RuntimeFailure
from nodeagent.runtime.sandbox import in_thread

log = logging.getLogger(__name__)


DEFAULT_CLUSTER_CIDR = ipaddress.IPv4Network("10.244.0.0/16")


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """`state_dir` holds the addresses; it may be lost with a reboot, like the pods."""

    state_dir: Path
    pod_cidr: ipaddress.IPv4Network
    cluster_cidr: ipaddress.IPv4Network = DEFAULT_CLUSTER_CIDR
    bridge: str = "tiphys0"
    table: str = "tiphys"
    mtu: int = 0  # 0: the kernel's default


class PodNetwork:
    """Use: `network = PodNetwork(config); await network.open()`; then attach and detach."""

    def __init__(self, config: NetworkConfig) -> None:
        self.config = config
        self._pool = AddressPool(config.state_dir, config.pod_cidr)
        self._ports = HostPorts(config.state_dir.with_name("hostports"), config.table, config.bridge)
        self._bridge = 0
        self._lock = asyncio.Lock()

    @property
    def gateway(self) -> ipaddress.IPv4Interface:
        """The bridge's address in the pod range: what pods see as the node."""
        return ipaddress.IPv4Interface(f"{self._pool.gateway}/{self.config.pod_cidr.prefixlen}")

    async def open(self) -> None:
        """Bridge, forwarding and masquerading.  May be repeated.  Raises RuntimeFailure."""
        try:
            self._bridge = await asyncio.to_thread(
                links.ensure_bridge, self.config.bridge, self.gateway, self.config.mtu
            )
            forward = Path("/proc/sys/net/ipv4/ip_forward")
            if forward.read_text().strip() != "1":
                forward.write_text("1")
            text = masquerade.rules(self.config.table, self.config.pod_cidr, self.config.cluster_cidr)
            await masquerade.apply(text)
            await self._ports.open()
        except (OSError, masquerade.FirewallError, NetlinkError) as error:
            raise RuntimeFailure(f"setting up the pod network: {error}") from error

    def address_of(self, pod_uid: str) -> str | None:
        return self._pool.address_of(pod_uid)

    async def attach(self, pod_uid: str, netns: str) -> str:
        """Returns the pod's address.  Raises RuntimeFailure; the address is then free again."""
        try:
            address = ipaddress.IPv4Interface(f"{self._pool.allocate(pod_uid)}/{self.config.pod_cidr.prefixlen}")
            await in_thread(lambda: self._connect(pod_uid, netns, address))
        except (OSError, AddressesExhausted, NetlinkError) as error:
            await self.detach(pod_uid)
            raise RuntimeFailure(f"setting up the pod's network: {error}") from error
        return str(address.ip)

    async def publish(self, pod_uid: str, mappings: Sequence[PortMapping]) -> None:
        """Ports of the node that lead to the pod, which is attached.  Raises RuntimeFailure."""
        try:
            await self._ports.set(pod_uid, self.address_of(pod_uid) or "", mappings)
        except (OSError, masquerade.FirewallError) as error:
            raise RuntimeFailure(f"setting up the pod's host ports: {error}") from error

    async def detach(self, pod_uid: str) -> None:
        try:
            await self._ports.remove(pod_uid)
        except masquerade.FirewallError as error:
            raise RuntimeFailure(f"removing the pod's host ports: {error}") from error
        await asyncio.to_thread(links.delete, links.host_interface(pod_uid))
        self._pool.release(pod_uid)

    async def release_all_but(self, pod_uids: set[str]) -> None:
        """Detach every pod that is not named: after a restart, what a crash left."""
        for pod_uid in (set(self._pool.owners()) | set(self._ports.pods)) - pod_uids:
            log.info("releasing the address of a pod that is gone", extra={"pod_uid": pod_uid})
            await self.detach(pod_uid)

    async def teardown(self) -> None:
        """Everything `open` and `attach` made, but for ip_forward, which others may rely on."""
        await self.release_all_but(set())
        await asyncio.to_thread(links.delete, self.config.bridge)
        await masquerade.remove(self.config.table)

    def _connect(self, pod_uid: str, netns: str, address: ipaddress.IPv4Interface) -> None:
        """In a thread of its own, first in the node's namespace, then in the pod's."""
        fd = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            links.add_pair(links.host_interface(pod_uid), fd, self._bridge, address.ip, self.config.mtu)
            syscalls.setns(fd, syscalls.CLONE_NEWNET)
        finally:
            os.close(fd)
        links.configure_inside(address, self.gateway.ip)
