"""Stands between a pod's network and its first container: an address is handed on when its policies are in force."""

from __future__ import annotations

from collections.abc import Sequence

from nodeagent.policy.keeper import PolicyKeeper
from nodeagent.runtime.interface import PortMapping
from nodeagent.runtime.sandbox import Network


class PolicedNetwork:
    """The network of the sandboxes, with policies.  A pod whose policies cannot be put in force gets no sandbox."""

    def __init__(self, inner: Network, keeper: PolicyKeeper) -> None:
        self._inner, self._keeper = inner, keeper

    async def attach(self, pod_uid: str, netns: str) -> str:
        """Raises RuntimeFailure; the address is then free again."""
        address = await self._inner.attach(pod_uid, netns)
        try:
            await self._keeper.secure(pod_uid, address)
        except BaseException:
            await self.detach(pod_uid)
            raise
        return address

    async def publish(self, pod_uid: str, mappings: Sequence[PortMapping]) -> None:
        """As the network's own."""
        await self._inner.publish(pod_uid, mappings)

    async def detach(self, pod_uid: str) -> None:
        """The rules go after the address."""
        await self._inner.detach(pod_uid)
        self._keeper.release(pod_uid)
