"""Bounds on requests under way: reading and mutating each have their own, streams count towards neither.

Beyond a bound the caller is told to come back in a second (429).  Members of system:masters are never refused.
"""

from __future__ import annotations

from apiserver.request import AnyResponse, Handler, Request
from tiphys.api.status import StatusError

_LONG = frozenset({"log", "exec", "attach", "portforward", "proxy"})
_READING = frozenset({"get", "list", "head", "options"})


class InFlight:
    """Counts and limits; `counts` is what /metrics shows."""

    def __init__(self, reading: int = 400, mutating: int = 200) -> None:
        self._limits = {"readOnly": reading, "mutating": mutating}
        self.counts = {"readOnly": 0, "mutating": 0}

    async def run(self, request: Request, following: Handler) -> AnyResponse:
        if request.info.verb == "watch" or request.info.subresource in _LONG:
            return await following(request)
        kind = "readOnly" if request.info.verb in _READING else "mutating"
        if self.counts[kind] >= self._limits[kind] and "system:masters" not in request.user.groups:
            raise StatusError(
                429, "TooManyRequests", "Too many requests, please try again later.", details={}, retry_after_seconds=1
            )
        self.counts[kind] += 1
        try:
            return await following(request)
        finally:
            self.counts[kind] -= 1
