"""Leader election by a coordination.k8s.io/v1 Lease, with fencing.

Who leads is decided by the server's compare-and-set on one Lease.  Clocks of different machines are never compared: a
candidate waits until *it* has seen the record unchanged for the record's whole duration.

Fencing: a leader is one only until RENEW_DEADLINE_SECONDS after the *start* of its last successful renewal, and the
client it gives to its controllers (`client.derived(fence=elector.is_leader)`) refuses to write from that very moment,
whatever the event loop is busy with.  The next leader can start LEASE_SECONDS after that renewal at the earliest, so
two leaders never both write.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import orjson
from prometheus_client import CollectorRegistry, Gauge

from tiphys.api.times import format_micro_time
from tiphys.client.errors import ApiError, ConnectionFailed, error_of_response
from tiphys.client.rest import Client
from tiphys.clock import Clock, SystemClock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

LEASE_SECONDS = 15
RENEW_DEADLINE_SECONDS = 10.0
RETRY_SECONDS = 2.0
STARTING_RETRY_SECONDS = 0.05
STARTING_TRIES = 100
JITTER = 1.2  # candidates try every RETRY_SECONDS to RETRY_SECONDS * (1 + JITTER)


@dataclass(frozen=True)
class Timings:
    lease_seconds: int = LEASE_SECONDS
    renew_deadline_seconds: float = RENEW_DEADLINE_SECONDS
    retry_seconds: float = RETRY_SECONDS


_held_locks: list[int] = []  # file descriptors: a lock lasts as long as the process


def own_identity(data_dir: str | None, component: str) -> str:
    """host_uuid, unique among candidates; the same again after a restart, so that it takes its own Lease at once.

    The uuid is in DATA_DIR/COMPONENT.identity under an exclusive lock: while a process holds it, another one of that
    directory gets an identity of its own and waits its turn.  Without a directory the identity is new every time."""
    host = socket.gethostname()
    if not data_dir:
        return f"{host}_{uuid4()}"
    try:
        fd = os.open(Path(data_dir) / f"{component}.identity", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return f"{host}_{uuid4()}"
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return f"{host}_{uuid4()}"
    _held_locks.append(fd)
    known = os.read(fd, 36).decode("ascii", "replace")
    if len(known) != 36:
        known = str(uuid4())
        os.pwrite(fd, known.encode(), 0)
    return f"{host}_{known}"


def next_spec(spec: dict[str, Any] | None, identity: str, unchanged_seconds: float, now: str, seconds: int) -> Any:
    """The Lease's spec after `identity` acquired or renewed it; None when somebody else holds it.

    `spec` is what is there (None: no Lease), `unchanged_seconds` for how long we have seen it like that."""
    holder = (spec or {}).get("holderIdentity") or ""
    transitions = int((spec or {}).get("leaseTransitions") or 0)
    wanted: dict[str, Any] = {"holderIdentity": identity, "leaseDurationSeconds": seconds, "renewTime": now}
    if spec is not None and holder == identity:
        return {**spec, **wanted}
    if spec is not None and holder and unchanged_seconds < int(spec.get("leaseDurationSeconds") or seconds):
        return None
    changed = transitions + 1 if spec is not None and holder != identity else transitions
    return {**wanted, "acquireTime": now, "leaseTransitions": changed}


class LeaderElector:
    """One candidate.  `identity` must be unique among candidates, also over restarts of the same program."""

    def __init__(
        self,
        client: Client,
        name: str,
        identity: str,
        *,
        namespace: str = "kube-system",
        timings: Timings | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self.client = client
        self.name = name
        self.identity = identity
        self.timings = timings or Timings()
        self.clock = clock or SystemClock()
        self._random = random or Random()
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace = namespace
        self._lease: dict[str, Any] | None = None  # as last seen
        self._observed_at = 0.0  # monotonic time at which it was first seen like that
        self._leads_until = float("-inf")
        self._unreachable = False  # the last attempt found no server
        self._gauge = _status_gauge(registry, name)

    def is_leader(self) -> bool:
        """True while writes are safe; asks the clock, so it needs no task to have run in time."""
        return self.clock.monotonic() < self._leads_until

    async def lead(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Wait for leadership, then run `work` until it ends (True) or leadership is lost (False, `work` cancelled)."""
        await self._acquire()
        _log.info("became leader", extra=fields(lease=self.name, identity=self.identity))
        self._gauge(1)
        working = asyncio.ensure_future(work())
        renewing = asyncio.create_task(self._renew_until_lost(), name=f"renew {self.name}")
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
                return True
            _log.error("leadership lost", extra=fields(lease=self.name, identity=self.identity))
            return False
        finally:
            self._gauge(0)
            for task in (working, renewing):
                task.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)
            await self._release()

    async def _acquire(self) -> None:
        """A server that is only starting is asked often at first: the whole cluster waits for its first leader."""
        unreachable_tries = 0
        while not await self._try_once():
            unreachable_tries = unreachable_tries + 1 if self._unreachable else STARTING_TRIES
            if unreachable_tries < STARTING_TRIES:
                await asyncio.sleep(STARTING_RETRY_SECONDS)
            else:
                await asyncio.sleep(self.timings.retry_seconds * (1 + self._random.random() * JITTER))

    async def _renew_until_lost(self) -> None:
        while self.is_leader():
            await asyncio.sleep(self.timings.retry_seconds)
            try:
                remaining = self._leads_until - self.clock.monotonic()
                async with asyncio.timeout(max(remaining, 0.0)):
                    await self._try_once()
            except TimeoutError:
                pass

    async def _try_once(self) -> bool:
        """One attempt to acquire or renew; failures are logged and count as not leading any longer than before."""
        started = self.clock.monotonic()
        said, self._unreachable = self._unreachable, False
        try:
            if not self.is_leader() or self._lease is None:
                await self._observe()
            acquired = await self._write(started)
        except ApiError as error:
            self._forget()
            if not error.conflict and not error.already_exists:
                _log.warning("lease refused", extra=fields(lease=self.name, reason=error))
            return False
        except ConnectionFailed as error:
            self._unreachable = True
            if not said:  # once: while the server is starting, this is tried twenty times a second
                _log.info("lease not renewed", extra=fields(lease=self.name, reason=error))
            return False
        if acquired:
            self._leads_until = started + self.timings.renew_deadline_seconds
        return acquired

    async def _observe(self) -> None:
        lease = await self._request("GET", f"{self._path}/{self.name}", None, missing_is_none=True)
        if lease is None or self._lease is None or lease.get("spec") != self._lease.get("spec"):
            self._observed_at = self.clock.monotonic()
        self._lease = lease

    async def _write(self, started: float) -> bool:
        now = format_micro_time(self.clock.now())
        spec = None if self._lease is None else self._lease.get("spec") or {}
        wanted = next_spec(spec, self.identity, started - self._observed_at, now, self.timings.lease_seconds)
        if wanted is None:
            return False
        if self._lease is None:
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self.name, "namespace": self._namespace},
                "spec": wanted,
            }
            self._lease = await self._request("POST", self._path, lease)
        else:
            self._lease = await self._request("PUT", f"{self._path}/{self.name}", {**self._lease, "spec": wanted})
        self._observed_at = self.clock.monotonic()
        return True

    def _forget(self) -> None:
        """Look at the server's Lease before the next attempt, but remember what was seen and since when."""
        if self.is_leader():
            self._lease = None

    async def _release(self) -> None:
        """Let the next candidate start at once; a leader that lost the lease has nothing to release."""
        led, lease, self._leads_until = self.is_leader(), self._lease, float("-inf")
        if not led or lease is None:
            return
        now = format_micro_time(self.clock.now())
        spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": now}
        try:
            async with asyncio.timeout(2.0):
                await self._request("PUT", f"{self._path}/{self.name}", {**lease, "spec": spec})
        except (ApiError, ConnectionFailed, TimeoutError) as error:
            _log.info("lease not released", extra=fields(lease=self.name, reason=error))

    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None, *, missing_is_none: bool = False
    ) -> dict[str, Any] | None:
        status, headers, answer = await self.client.request(
            method,
            path,
            body=orjson.dumps(body) if body is not None else None,
            headers={"Content-Type": "application/json"},
            timeout_seconds=self.timings.renew_deadline_seconds / 2,
        )
        if status == 404 and missing_is_none:
            return None
        if status >= 400:
            raise error_of_response(status, headers, answer)
        decoded: dict[str, Any] = orjson.loads(answer)
        return decoded


def _status_gauge(registry: CollectorRegistry | None, name: str) -> Callable[[float], None]:
    if registry is None:
        return lambda value: None
    gauge = Gauge(
        "leader_election_master_status",
        "Gauge of if the reporting system is the leader of the relevant lease, 0 indicates backup, 1 indicates leader.",
        ["name"],
        registry=registry,
    ).labels(name)
    gauge.set(0)
    return gauge.set
