"""EventRateLimit: no namespace writes more Events than a bucket gives, however busy its pods are.

What must stay true: the buckets are bounded, and a namespace that was quiet has its whole burst again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from apiserver.admission import Attributes, Plugin
from tiphys.api.status import StatusError

EVENTS_PER_SECOND = 50.0
BURST = 2000
BUCKETS = 4096


class EventRateLimit(Plugin):
    kinds = frozenset({("", "events"), ("events.k8s.io", "events")})

    def __init__(
        self, monotonic: Callable[[], float], per_second: float = EVENTS_PER_SECOND, burst: float = BURST
    ) -> None:
        self._monotonic = monotonic
        self._per_second = per_second
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # namespace -> (tokens, when)

    async def validate(self, attributes: Attributes) -> None:
        if attributes.info.plural != "events" or attributes.operation not in ("CREATE", "UPDATE"):
            return
        if attributes.dry_run or attributes.info.storage != ("", "events"):
            return
        if not self._take(attributes.namespace):
            text = f"Too many requests: limit reached on type Namespace for key {attributes.namespace}"
            raise StatusError(429, "TooManyRequests", text, details={}, retry_after_seconds=1)

    def _take(self, namespace: str) -> bool:
        now = self._monotonic()
        tokens, since = self._buckets.get(namespace, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._per_second)
        enough = tokens >= 1
        self._buckets[namespace] = (tokens - 1 if enough else tokens, now)
        self._buckets.move_to_end(namespace)
        if len(self._buckets) > BUCKETS:
            self._buckets.popitem(last=False)
        return enough
