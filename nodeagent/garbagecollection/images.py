"""Removes images when their file system fills up: least recently used first, never one in use, never a young one.

`plan` and `choose` are pure.  When an image was last used is known only since the agent started, as with the kubelet;
the file system itself is asked after every removal whether it was enough, for layers are shared and sizes deceive.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nodeagent.garbagecollection.policy import ImagePolicy
from nodeagent.images.image import Image
from nodeagent.stats.machine import FileSystem
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageRecord:
    """Monotonic seconds.  Never used: `last_used_at` is 0."""

    first_seen_at: float
    last_used_at: float = 0.0


class Images(Protocol):
    """What of the image store is needed."""

    def list(self) -> list[Image]: ...

    async def remove(self, reference_or_id: str) -> None: ...

    async def collect_garbage(self) -> int: ...


def remember(
    known: Mapping[str, ImageRecord], present: Collection[str], used: Collection[str], now: float
) -> dict[str, ImageRecord]:
    """The records after a look."""
    return {
        image: ImageRecord(
            known[image].first_seen_at if image in known else now,
            now if image in used else known[image].last_used_at if image in known else 0.0,
        )
        for image in present
    }


def choose(
    records: Mapping[str, ImageRecord], used: Collection[str], now: float, minimum_age_seconds: float
) -> list[str]:
    """The images that may go, in the order in which they should."""
    free = [image for image, record in records.items() if image not in used]
    free.sort(key=lambda image: (records[image].last_used_at, records[image].first_seen_at, image))
    return [image for image in free if now - records[image].first_seen_at >= minimum_age_seconds]


def expired(
    records: Mapping[str, ImageRecord], used: Collection[str], now: float, maximum_age_seconds: float
) -> list[str]:
    """Those unused for too long."""
    return [
        image
        for image, record in records.items()
        if image not in used and now - max(record.last_used_at, record.first_seen_at) > maximum_age_seconds > 0
    ]


def bytes_to_free(disk: FileSystem, policy: ImagePolicy) -> int:
    """0 while the disk is not too full.  Raises ValueError for a disk without a size."""
    if disk.capacity_bytes <= 0:
        raise ValueError("invalid capacity 0 on image filesystem")
    used = disk.capacity_bytes - min(disk.available_bytes, disk.capacity_bytes)
    if used * 100 < policy.high_percent * disk.capacity_bytes:
        return 0
    return disk.capacity_bytes * (100 - policy.low_percent) // 100 - disk.available_bytes


class ImageGarbageCollector:
    """`in_use` are image ids; `warn(reason, message)` is a Warning on the Node; `removed(why, how_many)` counts."""

    def __init__(
        self,
        images: Images,
        in_use: Callable[[], Awaitable[Collection[str]]],
        disk: Callable[[], FileSystem],
        warn: Callable[[str, str], None],
        removed: Callable[[str, int], None],
        clock: Clock,
        policy: ImagePolicy,
    ) -> None:
        self._images, self._in_use, self._disk = images, in_use, disk
        self._warn, self._removed, self._clock, self._policy = warn, removed, clock, policy
        self._records: dict[str, ImageRecord] = {}

    async def look(self) -> Collection[str]:
        """Notes which images are used now; returns them."""
        used = await self._in_use()
        present = [image.id for image in self._images.list()]
        self._records = remember(self._records, present, used, self._clock.monotonic())
        return used

    async def collect(self) -> int:
        """One round; returns the bytes won.  A round that wins too little is said in an event."""
        used, now = await self.look(), self._clock.monotonic()
        old = expired(self._records, used, now, self._policy.maximum_age_seconds)
        won = await self._remove(old, "age", lambda: False)
        try:
            wanted = bytes_to_free(self._disk(), self._policy)
        except (OSError, ValueError) as error:
            self._warn("InvalidDiskCapacity", str(error))
            return won
        if wanted <= 0:
            await self._images.collect_garbage()
            return won
        _log.info("the disk is too full: images go", extra=fields(bytes=wanted))
        candidates = choose(self._records, used, now, self._policy.minimum_age_seconds)

        def enough() -> bool:
            return self._disk().available_bytes * 100 >= (100 - self._policy.low_percent) * self._disk().capacity_bytes

        freed = await self._remove(candidates, "space", enough)
        if not enough():
            text = (
                f"Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, "
                f"but only found {freed} bytes eligible to free."
            )
            self._warn("FreeDiskSpaceFailed", text)
            self._warn("ImageGCFailed", text)
        return won + freed

    async def remove_unused(self) -> int:
        """Every image that nobody uses, whatever its age: the node is short of disk.  Returns the bytes won."""
        used = await self.look()
        return await self._remove(choose(self._records, used, self._clock.monotonic(), 0.0), "space", lambda: False)

    async def _remove(self, candidates: Sequence[str], why: str, enough: Callable[[], bool]) -> int:
        before, count = self._disk().available_bytes, 0
        for image in candidates:
            if enough():
                break
            if image in await self._in_use():
                continue  # a pod came meanwhile
            _log.info("removing an image", extra=fields(image=image, why=why))
            await self._images.remove(image)
            count += 1
        if count:
            self._removed(why, count)
        await self._images.collect_garbage()
        return max(0, self._disk().available_bytes - before)
