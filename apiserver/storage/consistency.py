"""The watch cache against the store, in the background: an old etcd can lose a watch event without saying so.

One resource per interval: the keys and revisions of the cache at its revision are compared with the store's at the same
revision.  A difference is a bug below us; the cache reads everything again and every open watch ends with Compacted.
"""

from __future__ import annotations

import asyncio
import logging

from apiserver.storage.store import Compacted, FutureRevision, StoreError
from apiserver.storage.watchcache import WatchCache

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 300.0
PAGE = 1000


class ConsistencyCheck:
    """`await run()` in a task; cancel it to stop."""

    def __init__(self, cache: WatchCache, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._cache = cache
        self._interval_seconds = interval_seconds
        self._last = ""

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_seconds)
            try:
                await self.step()
            except (StoreError, Compacted, FutureRevision) as error:
                logger.warning("the watch cache could not be checked reason=%r", str(error))

    async def step(self) -> bool:
        """Check the next resource; False when it differed and everything was read again."""
        prefixes = self._cache.prefixes()
        if not prefixes:
            return True
        self._last = next((prefix for prefix in prefixes if prefix > self._last), prefixes[0])
        return await self.check(self._last)

    async def check(self, prefix: str) -> bool:
        """Compare one resource.  Raises StoreError, Compacted when the store cannot be read."""
        revision = self._cache.revision
        resource = self._cache.resource(prefix)
        ours = {item.key: item.revision for item in resource.items()}
        damaged = set(resource.damaged)
        theirs: dict[str, int] = {}
        start, remaining = "", 1
        while remaining:
            page = await self._cache.store.range(prefix, start=start, limit=PAGE, revision=revision)
            theirs |= {entry.key: entry.revision for entry in page.entries}
            damaged |= set(page.damaged)
            start, remaining = page.last_key + "\0", page.remaining
        different = {key for key, _ in ours.items() ^ theirs.items()} - damaged
        if not different:
            return True
        logger.error(
            "the watch cache differs from the store, reading everything again prefix=%r revision=%d keys=%r",
            prefix,
            revision,
            sorted(different)[:10],
        )
        await self._cache.reload()
        return False
