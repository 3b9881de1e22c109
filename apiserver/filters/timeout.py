"""A bound on every request that is not meant to go on: 60 seconds, or the caller's `timeout` when it is shorter.

Watches, followed logs and the other streams end by their own rules.
"""

from __future__ import annotations

import asyncio

from apiserver.durations import DurationError, parse_duration
from apiserver.request import AnyResponse, Handler, Request
from apiserver.requestinfo import first
from tiphys.api.status import StatusError, bad_request

_LONG = frozenset({"log", "exec", "attach", "portforward", "proxy"})
LIMIT_SECONDS = 60.0


async def timeout(request: Request, following: Handler) -> AnyResponse:
    if request.info.verb == "watch" or request.info.subresource in _LONG:
        return await following(request)
    limit = LIMIT_SECONDS
    asked = first(request.query, "timeout")
    if asked:
        try:
            limit = min(limit, parse_duration(asked) or limit)
        except DurationError as error:
            raise bad_request(f"invalid timeout specified in the request URL: {error}") from None
    try:
        async with asyncio.timeout(limit):
            return await following(request)
    except TimeoutError:
        raise StatusError(
            504, "Timeout", "Timeout: request did not complete within the allotted timeout", details={}
        ) from None
