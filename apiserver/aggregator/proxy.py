"""A client's request to an aggregated API, passed on to the extension server that answers for it.

What must stay true: the request comes here authenticated and authorized; it goes to a ready endpoint of the service the
APIService names, whose certificate is checked; a redirect is refused and never followed; refusals of ours are plain
text, as upstream's proxy writes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import quote

import aiohttp

from apiserver.aggregator.apiservices import Entry
from apiserver.aggregator.backends import Backends
from apiserver.aggregator.frontproxy import identity_headers
from apiserver.outbound import OutboundError, ServiceReference
from apiserver.request import AnyResponse, Request, Response, StreamBroken, StreamingResponse
from apiserver.streaming.addresses import Target
from apiserver.streaming.dial import DialError, dial
from apiserver.streaming.headers import is_websocket, request_headers, response_headers, websocket_headers

_PATH_SAFE = "/!$&'()*+,;=:@-._~"
_REDIRECTED = "the backend attempted to redirect this request, which is not permitted"
_UNAVAILABLE = "service unavailable"
_BODYLESS = frozenset({204, 304})


class AggregatedProxy:
    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def forward(self, request: Request, entry: Entry) -> AnyResponse:
        if entry.service is None or not entry.available:
            return _refusal(503, _UNAVAILABLE)
        path = quote(request.info.path, safe=_PATH_SAFE) + ("/" if request.info.trailing_slash else "")
        headers = [*request_headers(request.headers), *identity_headers(request.user)]
        service = replace(entry.service, path=path)
        if is_websocket(request.headers):
            return await self._upgrade(request, entry, service, headers)
        try:
            answer = await self._backends.outbound.open(
                service,
                self._backends.trust(entry),
                body=request.stream_body(),
                method=request.method,
                headers=headers,
                query=request.raw_query,
            )
        except OutboundError as error:
            return _refusal(503, f"error trying to reach service: {error}")
        if 300 <= answer.status < 400 and "Location" in answer.headers:
            answer.close()
            return _refusal(502, _REDIRECTED)
        empty = request.method == "HEAD" or answer.status in _BODYLESS
        return StreamingResponse(
            _nothing(answer) if empty else _chunks(answer),
            content_type="",
            status=answer.status,
            repeated=response_headers(answer.headers),
        )

    async def _upgrade(
        self, request: Request, entry: Entry, service: ServiceReference, headers: list[tuple[str, str]]
    ) -> AnyResponse:
        outbound = self._backends.outbound
        try:
            address = outbound.resolve(service)[0]
            tls = outbound.context(self._backends.trust(entry))
            name = "" if entry.insecure else service.server_name
            target = Target(address.host, address.port, tls, server_name=name)
            query = f"?{request.raw_query}" if request.raw_query else ""
            pairs = [*headers, *websocket_headers(request.headers, extensions=True)]
            return await dial(target, service.path + query, pairs)
        except (OutboundError, DialError) as error:
            return _refusal(503, f"error trying to reach service: {error}")


def _refusal(status: int, text: str) -> Response:
    return Response(status, f"{text}\n".encode(), "text/plain; charset=utf-8", {"X-Content-Type-Options": "nosniff"})


async def _chunks(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body as it comes.  Raises StreamBroken when the server ends in the middle."""
    try:
        async for chunk in answer.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError) as error:
        raise StreamBroken(str(error)) from None
    finally:
        if answer.content.at_eof():
            answer.release()
        else:
            answer.close()


async def _nothing(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    answer.release()
    return
    yield b""
