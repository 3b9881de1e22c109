"""Keeps the kernel's table as the policies say, and lets no pod start before its rules are there.

What must stay true: `secure` returns only when the rules for the address are in the kernel; the rules stay when the
agent goes, and the first thing it does when it comes back replaces them in one transaction; a table that somebody else
has touched is made anew; changes that come while a transaction runs go into the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodeagent.policy import transaction
from nodeagent.policy.plan import Ruleset, plan
from nodeagent.policy.selection import Cluster, PodFacts, Policy, facts_of, read_policy
from nodeagent.runtime.interface import RuntimeFailure
from nodeagent.services import nftables
from nodeagent.services.monitor import TableMonitor, generation
from tiphys.api.core.namespace import Namespace
from tiphys.api.core.pod import Pod
from tiphys.api.networking.networkpolicy import NetworkPolicy
from tiphys.client.informer import Informer
from tiphys.logs import fields

_log = logging.getLogger(__name__)

SECURE_SECONDS = 20.0
RETRY_SECONDS = 1.0
GATHER_SECONDS = 0.005  # changes that come together are one transaction
_BRIDGE_FILTER = Path("/proc/sys/net/bridge")


@dataclass(frozen=True)
class PolicyInformers:
    """Started and stopped by whoever made them, but for `pods`, those of the whole cluster: they are only followed once
    there is a policy.  `local` are this node's pods, which may be known here before they are in `pods`."""

    policies: Informer[NetworkPolicy]
    namespaces: Informer[Namespace]
    pods: Informer[Pod]
    local: Informer[Pod]


class PolicyKeeper:
    """Use: make it before the first pod, `start` with the informers, `stop`; `secure` and `release` per pod."""

    def __init__(self, table: str, node_name: str) -> None:
        self.rebuilds = self.changes = self.refused = 0
        self._table, self._node = table, node_name
        self._addresses: dict[str, str] = {}  # pod uid -> address, for the pods of this node
        self._cluster = Cluster()
        self._policies: dict[str, Policy] = {}
        self._local: set[str] = set()
        self._held: Ruleset | None = None  # None: the table must be rebuilt
        self._wake = asyncio.Event()
        self._version, self._applied = 0, -1
        self._done = asyncio.Condition()
        self._informers: PolicyInformers | None = None
        self._synced = asyncio.Event()
        self._follows_pods = False
        self._task: asyncio.Task[None] | None = None
        self._own: set[int] = set()
        self._touched: list[int] = []
        self._monitor = TableMonitor(table, self._touch)

    async def start(self, informers: PolicyInformers, addresses: Mapping[str, str]) -> None:
        """Follow; `addresses` are those of the pods that are here already.  Does not wait."""
        await asyncio.to_thread(_show_bridged_packets)
        for uid, address in addresses.items():
            self._addresses.setdefault(uid, address)
        self._informers = informers
        for pods in (informers.pods, informers.local):
            pods.add_index("uid", lambda pod: [pod.metadata.uid])
        self._monitor.start()
        self._task = asyncio.create_task(self._run(informers), name="network policies")

    async def stop(self) -> None:
        """Stop following; the rules stay."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._monitor.stop()
        if self._informers is not None:
            await self._informers.pods.stop()

    async def secure(self, pod_uid: str, address: str) -> None:
        """Put the rules for a pod in force before it runs.  Raises RuntimeFailure when that is not possible now."""
        self._addresses[pod_uid] = address
        try:
            async with asyncio.timeout(SECURE_SECONDS):
                await self._synced.wait()
                if not self._policies and self._applied == self._version:
                    return
                self._pod_seen(pod_uid)
                version = self._change()
                async with self._done:
                    await self._done.wait_for(lambda: self._applied >= version)
        except TimeoutError:
            raise RuntimeFailure("the pod's network policies cannot be put in force yet") from None

    def release(self, pod_uid: str) -> None:
        """The pod's address is not its own any more."""
        if self._addresses.pop(pod_uid, None) is not None and pod_uid in self._cluster.pods:
            if not self._pod_seen(pod_uid):
                self._drop(pod_uid)
            self._change()

    # -- what comes in -----------------------------------------------------------------------------------------------

    def _change(self) -> int:
        self._version += 1
        self._wake.set()
        return self._version

    def _touch(self, number: int) -> None:
        self._touched.append(number)
        self._wake.set()

    def _pod_seen(self, uid: str) -> bool:
        """Take the pod up with the address this node knows; False when there is no such pod (any more)."""
        known = (self._informers.pods, self._informers.local) if self._informers is not None else ()
        for pods in known:
            if found := pods.by_index("uid", uid):
                self._pod_changed(None, found[0])
                return True
        return False

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        one = new or old
        assert one is not None
        uid = one.metadata.uid
        if old is not None and new is not None and old.metadata.uid != new.metadata.uid:
            self._drop(old.metadata.uid)
        if new is None and uid in self._addresses:
            return  # deleted by force: its containers may still be here, and its rules stay as long as its address
        facts = facts_of(new, self._addresses.get(uid, "")) if new is not None else None
        if facts == self._cluster.pods.get(uid):
            return
        self._drop(uid)
        if facts is not None and new is not None:
            self._cluster.put(facts)
            if new.spec.nodeName == self._node:
                self._local.add(uid)
        self._change()

    def _drop(self, uid: str) -> None:
        self._cluster.drop(uid)
        self._local.discard(uid)

    def _namespace_changed(self, old: Namespace | None, new: Namespace | None) -> None:
        one = new or old
        assert one is not None
        labels = new.metadata.labels if new is not None else None
        if labels == self._cluster.namespaces.get(one.metadata.name):
            return
        self._cluster.name(one.metadata.name, labels)
        self._change()

    def _policy_changed(self, old: NetworkPolicy | None, new: NetworkPolicy | None) -> None:
        one = new or old
        assert one is not None
        key = f"{one.metadata.namespace}/{one.metadata.name}"
        read = read_policy(new) if new is not None else None
        if read == self._policies.get(key):
            return
        if read is None:
            self._policies.pop(key, None)
        else:
            self._policies[key] = read
        self._change()

    # -- what goes out -----------------------------------------------------------------------------------------------

    async def _run(self, informers: PolicyInformers) -> None:
        await informers.policies.wait_synced()
        await informers.namespaces.wait_synced()
        informers.namespaces.add_handler(self._namespace_changed)
        informers.policies.add_handler(self._policy_changed)
        self._synced.set()
        self._change()
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS if self._held is not None else 0)
            self._wake.clear()
            try:
                await self._sync(informers)
            except (nftables.FirewallError, OSError) as error:
                self._held = None
                self.refused += 1
                _log.warning("network policies cannot be programmed", extra=fields(cause=error))
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()

    async def _sync(self, informers: PolicyInformers) -> None:
        if self._policies and not self._follows_pods:
            informers.pods.start()
            await informers.pods.wait_synced()
            informers.pods.add_handler(self._pod_changed)
            self._follows_pods = True
            for uid in self._addresses:
                self._pod_seen(uid)
        await self._judge_touches()
        version = self._version
        if self._held is None or version != self._applied:
            await self._bring(self._plan())
        async with self._done:
            self._applied = version
            self._done.notify_all()

    def _plan(self) -> Ruleset:
        local: list[PodFacts] = [self._cluster.pods[uid] for uid in sorted(self._local)]
        return plan(self._policies.values(), self._cluster, local)

    async def _bring(self, wanted: Ruleset) -> None:
        if self._held is None:
            await self._apply(transaction.rebuild(self._table, wanted))
            self.rebuilds += 1
        elif text := transaction.update(self._table, self._held, wanted):
            await self._apply(text)
            self.changes += 1
        self._held = wanted

    async def _judge_touches(self) -> None:
        if not self._touched:
            return
        touched, self._touched = self._touched, []
        now = await asyncio.to_thread(generation)
        if any((number or now) not in self._own for number in touched):
            _log.warning("the table of network policies was changed by somebody else and is made anew")
            self._held = None
        self._own = {number for number in self._own if number >= now - 1}

    async def _apply(self, text: str) -> None:
        if made := await asyncio.to_thread(nftables.apply_as_own, text):
            self._own.add(made)


def remove(table: str) -> None:
    """Take the table away.  Raises FirewallError."""
    nftables.apply(transaction.remove(table))


def _show_bridged_packets() -> None:
    """Pods of one bridge reach each other without the node's routing: the bridge must show those frames too."""
    for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        with contextlib.suppress(OSError):
            (_BRIDGE_FILTER / name).write_text("1")
