"""Which events are worth a write: the same ones are counted, similar ones combined, floods dropped.

The rules and numbers are client-go's.  Plain data, no I/O; what is remembered is bounded, the oldest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

REMEMBERED = 4096
COMBINE_AFTER = 10  # different messages for one object and reason ...
COMBINE_SECONDS = 600.0  # ... at most this far apart
SPAM_BURST = 25.0  # events per object and source at once, then
SPAM_REFILL_SECONDS = 300.0  # one more in this time
COMBINED_PREFIX = "(combined from similar events): "

V = TypeVar("V")


class Happening(NamedTuple):
    """What makes two events the same; `message` varies between similar ones."""

    namespace: str
    object_uid: str
    object_name: str
    object_kind: str
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Create a new event (`name` empty) or raise the count of event `name`."""

    happening: Happening
    name: str
    count: int
    first_timestamp: str


class _Recent(OrderedDict[tuple[str, ...], V], Generic[V]):
    def remember(self, key: tuple[str, ...], value: V) -> None:
        self[key] = value
        self.move_to_end(key)
        while len(self) > REMEMBERED:
            self.popitem(last=False)


class Correlator:
    """Call `decide`, carry it out, then tell `written` the event's name."""

    def __init__(self) -> None:
        self._tokens: _Recent[tuple[float, float]] = _Recent()  # (tokens, at)
        self._messages: _Recent[tuple[set[str], float]] = _Recent()  # (messages, last seen)
        self._events: _Recent[tuple[str, int, str]] = _Recent()  # (name, count, first timestamp)

    def decide(self, happening: Happening, now: float, timestamp: str) -> Decision | None:
        """What to write at `now` (monotonic seconds); None: nothing, the object floods us."""
        happening = self._combined(happening, now)
        if not self._take_token(happening, now):
            return None
        name, count, first = self._events.get(self._key(happening), ("", 0, timestamp))
        return Decision(happening, name, count + 1, first)

    def written(self, decision: Decision, name: str) -> None:
        """The decision was carried out on the event `name`."""
        self._events.remember(self._key(decision.happening), (name, decision.count, decision.first_timestamp))

    def forget(self, happening: Happening) -> None:
        """The event is not on the server (any more): the next one is created."""
        self._events.pop(self._key(happening), None)

    @staticmethod
    def _key(happening: Happening) -> tuple[str, ...]:
        if happening.message.startswith(COMBINED_PREFIX):  # one event for all, whatever the last message said
            return (*happening[:-1], COMBINED_PREFIX)
        return tuple(happening)

    def _combined(self, happening: Happening, now: float) -> Happening:
        similar = tuple(happening[:-1])
        messages, last = self._messages.get(similar, (set(), now))
        if now - last > COMBINE_SECONDS:
            messages = set()
        if len(messages) <= COMBINE_AFTER:
            messages = {*messages, happening.message}
        self._messages.remember(similar, (messages, now))
        if len(messages) <= COMBINE_AFTER:
            return happening
        return happening._replace(message=COMBINED_PREFIX + happening.message)

    def _take_token(self, happening: Happening, now: float) -> bool:
        source = tuple(happening[:4])
        tokens, at = self._tokens.get(source, (SPAM_BURST, now))
        tokens = min(SPAM_BURST, tokens + (now - at) / SPAM_REFILL_SECONDS)
        allowed = tokens >= 1
        self._tokens.remember(source, (tokens - 1 if allowed else tokens, now))
        return allowed
