"""Leader election: the rule as a table, and two candidates against a real API server."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.client.server import eventually
from tests.client.test_rest import config_map
from tiphys.api.coordination.lease import Lease
from tiphys.client.errors import Deposed
from tiphys.client.leaderelection import LeaderElector, Timings, next_spec
from tiphys.client.rest import Client

NOW = "2026-01-02T03:04:05.000000Z"


def held(holder: str, transitions: int = 3) -> dict[str, Any]:
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": 15,
        "acquireTime": "then",
        "renewTime": "then",
        "leaseTransitions": transitions,
    }


@pytest.mark.parametrize(
    ("spec", "unchanged_seconds", "expected"),
    [
        (None, 0, {"holderIdentity": "me", "leaseTransitions": 0, "acquireTime": NOW}),
        (held("me"), 0, {"holderIdentity": "me", "leaseTransitions": 3, "acquireTime": "then"}),
        (held("other"), 14.9, None),
        (held("other"), 15, {"holderIdentity": "me", "leaseTransitions": 4, "acquireTime": NOW}),
        (held(""), 0, {"holderIdentity": "me", "leaseTransitions": 4, "acquireTime": NOW}),
        ({}, 0, {"holderIdentity": "me", "leaseTransitions": 1, "acquireTime": NOW}),
    ],
    ids=["no lease", "mine", "held", "expired", "released", "empty"],
)
def test_who_may_take_the_lease(
    spec: dict[str, Any] | None, unchanged_seconds: float, expected: dict[str, Any] | None
) -> None:
    wanted = next_spec(spec, "me", unchanged_seconds, NOW, 15)
    if expected is None:
        assert wanted is None
    else:
        assert wanted == {**expected, "leaseDurationSeconds": 15, "renewTime": NOW}


class HandClock:
    """A clock that goes only when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


QUICK = Timings(lease_seconds=3, renew_deadline_seconds=2.0, retry_seconds=0.02)


def elector(client: Client, identity: str, clock: HandClock) -> LeaderElector:
    return LeaderElector(client, "test", identity, namespace="default", timings=QUICK, clock=clock)


async def for_ever() -> None:
    await asyncio.Event().wait()


async def holder(client: Client) -> str:
    return (await client.get(Lease, "test", "default")).spec.holderIdentity or ""


async def test_of_two_candidates_one_leads_and_the_other_follows_when_it_stops(client: Client) -> None:
    clock = HandClock()
    first, second = elector(client, "first", clock), elector(client, "second", clock)
    leading = asyncio.create_task(first.lead(for_ever))

    async def first_leads() -> bool:
        return first.is_leader()

    await eventually(first_leads, "the first candidate leading")
    waiting = asyncio.create_task(second.lead(for_ever))
    await asyncio.sleep(0.2)
    assert not second.is_leader() and await holder(client) == "first"
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)
    assert not first.is_leader()

    async def second_leads() -> bool:
        return second.is_leader()

    await eventually(second_leads, "the second candidate leading")
    lease = await client.get(Lease, "test", "default")
    assert (lease.spec.holderIdentity, lease.spec.leaseTransitions) == ("second", 1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await holder(client) == "", "a clean stop releases the lease"


async def test_a_leader_that_cannot_renew_stops_writing_before_anybody_else_starts(client: Client) -> None:
    """The leader's own requests hang; the other candidate has to see the lease unchanged for its whole duration."""
    clock, cut, hanging = HandClock(), asyncio.Event(), asyncio.Event()

    class CutOff(Client):
        async def request(self, method: str, path: str, **rest: Any) -> Any:
            if cut.is_set() and "leases" in path:
                hanging.set()
                await asyncio.Event().wait()
            return await super().request(method, path, **rest)

    first = elector(CutOff(client.config, connection=client.connection), "first", clock)
    second = elector(client, "second", clock)
    fenced = client.derived(fence=first.is_leader)
    leading = asyncio.create_task(first.lead(for_ever))

    async def first_leads() -> bool:
        return first.is_leader()

    await eventually(first_leads, "the first candidate leading")
    await fenced.create(config_map("while-leading"))
    cut.set()
    await hanging.wait()
    waiting = asyncio.create_task(second.lead(for_ever))

    async def second_has_looked() -> bool:
        return second._lease is not None

    await eventually(second_has_looked, "the second candidate seeing the lease")
    clock.seconds += 2.0
    assert not first.is_leader() and not second.is_leader()
    with pytest.raises(Deposed):
        await fenced.create(config_map("too-late"))
    await asyncio.sleep(0.1)
    assert await holder(client) == "first"
    clock.seconds += 1.0

    async def second_leads() -> bool:
        return second.is_leader()

    await eventually(second_leads, "the second candidate leading")
    assert await asyncio.wait_for(leading, 20) is False, "the deposed leader's work ended"
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_the_work_ends_with_its_own_error(client: Client) -> None:
    async def fail() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await elector(client, "me", HandClock()).lead(fail)


def test_an_identity_survives_its_process_and_is_never_shared(tmp_path: Path) -> None:
    command = (
        "import sys; from tiphys.client.leaderelection import own_identity;"
        "print(own_identity(sys.argv[1], 'c'), flush=True); sys.stdin.read()"
    )

    def start() -> subprocess.Popen[str]:
        words = [sys.executable, "-c", command, str(tmp_path)]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def identity(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline()

    first = start()
    own = identity(first)
    with start() as beside:
        assert identity(beside) != own
        beside.kill()
    first.kill()
    first.communicate()
    with start() as again:
        assert identity(again) == own
        again.kill()
