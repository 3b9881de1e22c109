"""Compaction: the store forgets history that nobody needs any more.

Every interval it compacts to the revision it saw one interval ago, so between one and two intervals of history stay for
paged lists and for watchers that resume, and it never passes a position this server's own watch cache still needs.
"""

from __future__ import annotations

import asyncio
import logging

from apiserver.storage.store import Compacted, FutureRevision, StoreError
from apiserver.storage.watchcache import WatchCache

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 300.0


class Compactor:
    """`await run()` in a task; cancel it to stop.  Other servers on the same store may run theirs too."""

    def __init__(self, cache: WatchCache, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._cache = cache
        self._interval_seconds = interval_seconds
        self._target = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_seconds)
            await self.step()

    async def step(self) -> None:
        """Compact to the revision of the last step; note the revision for the next one."""
        target, self._target = self._target, self._cache.revision
        if not target:
            return
        try:
            await self._cache.store.compact(target)
        except Compacted:
            pass  # another server was first, or nothing was written since
        except (StoreError, FutureRevision) as error:
            logger.warning("compaction failed, the next one makes up for it reason=%r", str(error))
