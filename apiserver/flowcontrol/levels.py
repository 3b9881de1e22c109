"""A priority level at work: seats, queues, and who is next.

A request takes a seat at once where one is free.  Where none is, it waits in a queue of its flow: a flow is dealt a
hand of queues and takes the shortest, so that a flood fills its own few queues and others find theirs short.  Queues
are served in turn.  A level whose seats are all taken may sit on what others lend and do not use.

What must stay true: what was taken is given back exactly once, whatever becomes of the request; nobody waits for ever.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tiphys.api.status import StatusError

Obj = dict[str, Any]
WAIT_SECONDS = 15.0  # a quarter of the time a request has, as upstream


def too_many() -> StatusError:
    text = "Too many requests, please try again later."
    return StatusError(429, "TooManyRequests", text, details={}, retry_after_seconds=1)


@dataclass(slots=True)
class Settings:
    """A level's share in seats; `borrowing` None: as many as are lent."""

    seats: int
    lendable: int
    borrowing: int | None
    queues: int  # 0: no waiting
    hand: int
    queue_length: int
    exempt: bool


@dataclass(slots=True)
class Level:
    name: str
    uid: str
    settings: Settings
    executing: int = 0
    waiting: int = 0
    rejected: int = 0
    dispatched: int = 0
    queues: dict[int, deque[asyncio.Future[None]]] = field(default_factory=dict)
    turns: deque[int] = field(default_factory=deque)  # queues that are not empty, the next one first

    @property
    def borrowed(self) -> int:
        return 0 if self.settings.exempt else max(0, self.executing - self.settings.seats)

    @property
    def to_lend(self) -> int:
        """Seats that others may have now."""
        settings = self.settings
        return 0 if settings.exempt else max(0, min(settings.lendable, settings.seats - self.executing))

    def enqueue(self, flow: str) -> asyncio.Future[None]:
        """A place in the shortest queue of the flow's hand.  Raises 429 where even that is full."""
        settings = self.settings
        hand = deal(flow, settings.queues, settings.hand) if settings.queues else ()
        shortest = min(hand, key=lambda number: len(self.queues.get(number, ())), default=None)
        if shortest is None or len(self.queues.get(shortest, ())) >= settings.queue_length:
            self.rejected += 1
            raise too_many()
        queue = self.queues.setdefault(shortest, deque())
        if not queue:
            self.turns.append(shortest)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(waiter)
        self.waiting += 1
        return waiter

    def discard(self, waiter: asyncio.Future[None]) -> None:
        """It waits no longer."""
        for number, queue in self.queues.items():
            if waiter in queue:
                queue.remove(waiter)
                self.waiting -= 1
                if not queue:
                    del self.queues[number]
                    self.turns.remove(number)
                return

    def next_waiter(self) -> asyncio.Future[None] | None:
        """Who is next: the first of the queue whose turn it is.  Those who have gone are passed over."""
        while self.turns:
            number = self.turns.popleft()
            queue = self.queues[number]
            waiter = queue.popleft()
            self.waiting -= 1
            if queue:
                self.turns.append(number)
            else:
                del self.queues[number]
            if not waiter.done():
                return waiter
        return None


def deal(flow: str, queues: int, hand: int) -> tuple[int, ...]:
    """The queues of a flow: the same for the same name, and seldom all the same for two names."""
    number = zlib.crc32(flow.encode()) | zlib.adler32(flow.encode()[::-1]) << 32
    left, cards = list(range(queues)), []
    for _ in range(min(hand, queues)):
        number, place = divmod(number, len(left))
        cards.append(left.pop(place))
        number ^= number << 7 & 0xFFFFFFFFFFFFFFFF
    return tuple(cards)


def settings_of(obj: Obj, shares: int, total_seats: int) -> Settings:
    """`shares`: of all levels together."""
    spec = obj["spec"]
    if spec.get("type") == "Exempt":
        return Settings(0, 0, None, 0, 0, 0, True)
    limited = spec.get("limited") or {}
    own = limited.get("nominalConcurrencyShares")
    seats = -(-total_seats * (30 if own is None else own) // max(shares, 1))
    borrowing = limited.get("borrowingLimitPercent")
    response = limited.get("limitResponse") or {}
    queuing = (response.get("queuing") or {}) if response.get("type") == "Queue" else None
    return Settings(
        seats,
        seats * (limited.get("lendablePercent") or 0) // 100,
        None if borrowing is None else seats * borrowing // 100,
        0 if queuing is None else queuing.get("queues") or 64,
        0 if queuing is None else queuing.get("handSize") or 8,
        0 if queuing is None else queuing.get("queueLengthLimit") or 50,
        False,
    )


def shares_of(objects: Iterable[Obj]) -> int:
    limited = [one["spec"].get("limited") for one in objects if one["spec"].get("type") == "Limited"]
    return sum(30 if (own := (one or {}).get("nominalConcurrencyShares")) is None else own for one in limited)


class Levels:
    """All levels of this server; `update` follows the objects, `enter` and `leave` bracket a request."""

    def __init__(self, total_seats: int, wait_seconds: float = WAIT_SECONDS) -> None:
        self._total_seats = total_seats
        self._wait_seconds = wait_seconds
        self._levels: dict[str, Level] = {}
        self._queued = 0  # requests that wait, in all levels

    def __iter__(self) -> Iterator[Level]:
        return iter(self._levels.values())

    def get(self, name: str) -> Level | None:
        return self._levels.get(name)

    def update(self, objects: Iterable[Obj]) -> None:
        """What is under way in a level goes on under its new settings; a level that is gone drains."""
        found = list(objects)
        shares = shares_of(found)
        levels = {}
        for obj in found:
            name, uid = obj["metadata"]["name"], obj["metadata"].get("uid", "")
            settings = settings_of(obj, shares, self._total_seats)
            level = self._levels.get(name) or Level(name, uid, settings)
            level.uid, level.settings = uid, settings
            levels[name] = level
        for name, level in self._levels.items():
            if name not in levels and (level.executing or level.waiting):
                level.settings.queues = 0
                levels[name] = level
        self._levels = levels
        for level in levels.values():
            self._call_next(level)

    async def enter(self, level: Level, flow: str) -> None:
        """Back when the request has a seat.  Raises 429."""
        if level.settings.exempt or (not level.waiting and self._has_seat(level)):
            level.executing += 1
            level.dispatched += 1
            return
        waiter = level.enqueue(flow)
        self._queued += 1
        try:
            async with asyncio.timeout(self._wait_seconds):
                await waiter
        except TimeoutError:
            if waiter.done() and not waiter.cancelled():
                return  # its turn came at the last moment
            level.discard(waiter)
            level.rejected += 1
            raise too_many() from None
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self.leave(level)  # it had a seat already
            else:
                level.discard(waiter)
            raise
        finally:
            self._queued -= 1

    def leave(self, level: Level) -> None:
        level.executing -= 1
        if self._queued:
            self._call_next(level)
            self._call_borrowers()

    def _has_seat(self, level: Level) -> bool:
        settings = level.settings
        if level.executing < settings.seats:
            # Seats it has lent are out until their users leave, so it may go beyond the total for that while.
            return True
        if settings.borrowing is not None and level.borrowed >= settings.borrowing:
            return False
        lent = sum(one.borrowed for one in self._levels.values())
        return lent < sum(one.to_lend for one in self._levels.values())

    def _call_next(self, level: Level) -> None:
        while level.waiting and self._has_seat(level):
            waiter = level.next_waiter()
            if waiter is None:
                return
            level.executing += 1
            level.dispatched += 1
            waiter.set_result(None)

    def _call_borrowers(self) -> None:
        for level in self._levels.values():
            if level.waiting:
                self._call_next(level)
