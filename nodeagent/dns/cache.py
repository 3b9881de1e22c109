"""Answers of other servers, kept as they came until their time is over; longer, where stale is better than nothing.

What must stay true: TTLs count down while an answer is kept, and the number of answers is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable
from dataclasses import dataclass

from nodeagent.dns.wire import NOERROR, NXDOMAIN, Walked

MOST_SECONDS = 30  # the same as a cluster's usual DNS: a wrong answer goes away while somebody waits for it
STALE_TTL_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Kept:
    message: bytes
    ttl_places: tuple[int, ...]
    stored_seconds: float
    lasts_seconds: float
    denial: bool


class Cache:
    """`now_seconds` is a monotonic clock's; the oldest answers make room for new ones."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._kept: dict[Hashable, Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def count(self, *, denial: bool) -> int:
        return sum(kept.denial == denial for kept in self._kept.values())

    def put(self, key: Hashable, message: bytes, walked: Walked, now_seconds: float) -> None:
        """Keeps what may be kept: an answer or a denial with a time to live, and not a piece of one."""
        lasts = min(walked.ttl_seconds, MOST_SECONDS)
        if walked.rcode not in (NOERROR, NXDOMAIN) or lasts <= 0 or walked.flags & 0x0200:
            return
        self._kept.pop(key, None)
        denial = walked.rcode == NXDOMAIN or not walked.addresses
        self._kept[key] = Kept(message, walked.ttl_places, now_seconds, lasts, denial)
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]

    def get(self, key: Hashable, now_seconds: float, *, stale_seconds: float = 0) -> tuple[bytes, bool] | None:
        """The message with the TTLs of now, and whether it is a denial; one that is over by `stale_seconds` at most."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        age = now_seconds - kept.stored_seconds
        if age >= kept.lasts_seconds + stale_seconds:
            return None
        message = bytearray(kept.message)
        for place in kept.ttl_places:
            (ttl,) = struct.unpack_from("!I", message, place)
            left = max(min(ttl, int(kept.lasts_seconds)) - int(age), 0)
            struct.pack_into("!I", message, place, left if age < kept.lasts_seconds else STALE_TTL_SECONDS)
        return bytes(message), kept.denial
