"""The service proxy: watches Services and EndpointSlices, and keeps the table as they say.

What must stay true: a change of one Service costs what that Service costs; changes that come while a transaction runs
go into the next one; a transaction that is refused, and a table that somebody else has touched, end in a rebuild; the
rules stay when the agent goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nodeagent.services import conntrack, nftables, ruleset, sticky
from nodeagent.services.elements import Contribution, contribution
from nodeagent.services.endpoints import NodeFacts
from nodeagent.services.healthcheck import Health, HealthChecks
from nodeagent.services.ledger import Change, Ledger, chains_of
from nodeagent.services.monitor import TableMonitor, generation
from nodeagent.services.ruleset import TableConfig
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.client.informer import Informer
from tiphys.logs import fields

_log = logging.getLogger(__name__)

SERVICE_LABEL = "kubernetes.io/service-name"
RETRY_SECONDS = 1.0
_BRIDGE_FILTER = Path("/proc/sys/net/bridge")
Key = tuple[str, str]  # (namespace, name) of a Service
Report = Callable[[Service, str, str], None]  # (service, reason, message): an Event of type Warning


@dataclass
class Counters:
    """What the proxy has done, for metrics and tests."""

    changes: int = 0
    rebuilds: int = 0
    refused: int = 0
    flows_ended: int = 0


@dataclass
class ProxyConfig:
    """`facts` may change (a node's zone): it is asked at every change; `node_addresses` are the node's own."""

    table: TableConfig
    facts: Callable[[], NodeFacts]
    node_addresses: tuple[str, ...] = ()
    report: Report = field(default=lambda service, reason, message: None)
    answered_here: frozenset[str] = frozenset()  # cluster IPs that the node itself has: left alone


class ServiceProxy:
    """Use: `proxy = ServiceProxy(config, services, slices)`, informers started, `await proxy.start()`, `stop`."""

    def __init__(self, config: ProxyConfig, services: Informer[Service], slices: Informer[EndpointSlice]) -> None:
        self.config = config
        self.counters = Counters()
        self._services, self._slices = services, slices
        self._ledger = Ledger()
        self._contributions: dict[Key, Contribution] = {}
        self._health: dict[Key, tuple[int, Health]] = {}
        self._checks = HealthChecks()
        self._dirty: set[Key] = set()
        self._wake = asyncio.Event()
        self._present: set[tuple[str, str]] = set()
        self._own: set[int] = set()  # generations that our transactions made
        self._touched: list[int] = []
        self._broken = True  # the table must be rebuilt
        self._monitor = TableMonitor(config.table.name, self._touch)
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()  # the first time is over, well or badly
        self._facts = config.facts()
        self._busy = False
        self._progress = asyncio.Event()
        slices.add_index("service", _service_of)

    async def start(self) -> None:
        """Try to program everything once, then follow.  Raises OSError where the kernel has no nftables."""
        await asyncio.to_thread(_prepare)
        self._monitor.start()
        await self._services.wait_synced()
        await self._slices.wait_synced()
        self._services.add_handler(self._service_changed)
        self._slices.add_handler(self._slice_changed)
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="service proxy")
        await self._tried.wait()

    async def stop(self) -> None:
        """Stop following; the rules stay."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._monitor.stop()
        await self._checks.stop()

    async def settled(self) -> None:
        """Return when the kernel is as the informers are now, and nothing is under way."""
        while self._wake.is_set() or self._busy or self._dirty or self._broken:
            self._progress.clear()
            await self._progress.wait()

    # -- what comes in -------------------------------------------------------------------------------------------

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        one = new or old
        assert one is not None
        self._mark((one.metadata.namespace, one.metadata.name))

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for one in (old, new):
            name = one.metadata.labels.get(SERVICE_LABEL) if one is not None else None
            if one is not None and name:
                self._mark((one.metadata.namespace, name))

    def _mark(self, key: Key) -> None:
        self._dirty.add(key)
        self._wake.set()

    def _touch(self, number: int) -> None:
        self._touched.append(number)
        self._wake.set()

    # -- what goes out -------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._busy = True
            try:
                await self._sync()
            except (nftables.FirewallError, OSError) as error:
                self._broken = True
                self.counters.refused += 1
                _log.warning("services cannot be programmed", extra=fields(cause=error))
                self._tried.set()
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()
            self._busy = False
            self._tried.set()
            self._progress.set()

    async def _sync(self) -> None:
        if self._touched:
            await self._judge_touches()
        before = self._plan()
        change = self._ledger.take()
        if self._broken:
            await self._rebuild()
        elif change:
            await self._update(change)
        await self._after(before)

    async def _judge_touches(self) -> None:
        touched, self._touched = self._touched, []
        now = await asyncio.to_thread(generation)
        if any((number or now) not in self._own for number in touched):
            _log.warning("the table of services was changed by somebody else and is made anew")
            self._broken = True
        self._own = {number for number in self._own if number >= now - 1}

    def _plan(self) -> dict[Key, Contribution]:
        """Bring the ledger up to date with what is dirty; what those Services contributed before."""
        facts, before = self.config.facts(), {}
        if facts != self._facts:
            self._facts = facts
            self._dirty.update(self._contributions)
        dirty, self._dirty = self._dirty, set()
        for key in dirty:
            service = self._services.get(*key)
            if service is not None and service.spec.clusterIP in self.config.answered_here:
                service = None
            old = self._contributions.pop(key, None) or Contribution()
            before[key] = old
            new = Contribution()
            if service is not None:
                slices = [
                    one for one in self._slices.by_index("service", "/".join(key)) if not one.metadata.deletionTimestamp
                ]
                new = contribution(service, slices, facts, old)
                self._contributions[key] = new
                if new.unserved and new.unserved != old.unserved:
                    text = "not forwarded, SCTP is not supported: " + ", ".join(new.unserved)
                    self.config.report(service, "ProtocolNotSupported", text)
            self._ledger.set("/".join(key), old.elements, new.elements)
            self._note_health(key, service, new)
        return before

    def _note_health(self, key: Key, service: Service | None, new: Contribution) -> None:
        port = service.spec.healthCheckNodePort if service is not None else 0
        if port:
            self._health[key] = (port, Health(*key, new.local_endpoints))
        else:
            self._health.pop(key, None)

    async def _rebuild(self) -> None:
        kept = await asyncio.to_thread(sticky.kept, self.config.table.name, self._ledger.value)
        elements = list(self._ledger.all())
        text = ruleset.rebuild(self.config.table, elements, kept)
        await self._apply(text)
        self._present = {
            (family, name)
            for family in ruleset.FAMILIES
            for name in chains_of(value for one, value in elements if one.family == family)
        }
        self._broken = False
        self.counters.rebuilds += 1

    async def _update(self, change: Change) -> None:
        present = set(self._present)
        try:
            await self._apply(ruleset.update(self.config.table, change, present))
        except nftables.FirewallError as error:
            _log.warning("a change of services was refused; the table is made anew", extra=fields(cause=error))
            self.counters.refused += 1
            await self._rebuild()
            return
        self._present = present
        self.counters.changes += 1

    async def _apply(self, text: str) -> None:
        if made := await asyncio.to_thread(nftables.apply_as_own, text):
            self._own.add(made)

    async def _after(self, before: Mapping[Key, Contribution]) -> None:
        """What follows once the table is right: stale UDP flows, forgotten clients, health checks."""
        entrances = {}
        forget = False
        for key, old in before.items():
            new = self._contributions.get(key) or Contribution()
            entrances.update({one: frozenset[tuple[str, int]]() for one in old.udp if one not in new.udp})
            entrances.update({one: behind for one, behind in new.udp.items() if old.udp.get(one) != behind})
            forget = forget or (old.sticky and old.placed != new.placed)
        if entrances:
            self.counters.flows_ended += await asyncio.to_thread(_end_flows, entrances, self.config.node_addresses)
        if forget:
            gone = await asyncio.to_thread(sticky.forgotten, self.config.table.name, self._ledger.value)
            if gone:
                await self._apply(gone)
        await self._checks.sync(dict(self._health.values()))


def _end_flows(entrances: Mapping[tuple[str, int], frozenset[tuple[str, int]]], node_addresses: tuple[str, ...]) -> int:
    stale = conntrack.stale(conntrack.udp_flows(), entrances, node_addresses)
    return conntrack.end(stale) if stale else 0


def _service_of(one: EndpointSlice) -> list[str]:
    name = one.metadata.labels.get(SERVICE_LABEL)
    return [f"{one.metadata.namespace}/{name}"] if name else []


def _prepare() -> None:
    """Pods of one bridge answer each other directly: the bridge must show those frames to the connection tracking."""
    for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        with contextlib.suppress(OSError):
            (_BRIDGE_FILTER / name).write_text("1")
