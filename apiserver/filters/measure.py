"""Counts and times every request under upstream's labels.

What must stay true: verbs are in capitals and a label value comes from what was parsed and served, never from raw
input, so a hostile client cannot make label sets without end.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from apiserver.metrics import Metrics
from apiserver.request import AnyResponse, Chunk, Duplex, Filter, Handler, Request, StreamingResponse, UpgradeResponse

_VERBS = {
    "get": "GET", "list": "LIST", "watch": "WATCH", "create": "POST", "update": "PUT", "patch": "PATCH",
    "delete": "DELETE", "deletecollection": "DELETECOLLECTION",
}  # fmt: skip
_OTHER = {"get": "GET", "post": "POST", "put": "PUT", "patch": "PATCH", "delete": "DELETE", "head": "HEAD"}
_CONNECT = frozenset({"log", "exec", "attach", "portforward", "proxy"})
_COMPONENT = "apiserver"
Run = Callable[[Duplex], Awaitable[None]]


def measure(metrics: Metrics) -> Filter:
    async def run(request: Request, following: Handler) -> AnyResponse:
        started = time.perf_counter()
        response = await following(request)
        labels = _labels(request)
        dry_run = "All" if "dryRun" in request.query else ""
        full = (labels[0], dry_run, *labels[1:])
        metrics.requests.add((*full, str(response.status)))
        if isinstance(response, StreamingResponse) and not response.finite:
            response.chunks = _counted(response.chunks, metrics, labels)
            return response
        if isinstance(response, UpgradeResponse):
            response.run = _counted_run(response.run, metrics, labels)
            return response
        seconds = time.perf_counter() - started
        metrics.durations.observe(seconds, full)
        metrics.sli_durations.observe(seconds, labels)
        return response

    return run


def _labels(request: Request) -> tuple[str, str, str, str, str, str, str]:
    """(verb, group, version, resource, subresource, scope, component)."""
    info = request.info
    if not info.is_resource or not request.served:
        return (_OTHER.get(request.method.lower(), "OTHER"), "", "", "", "", "", _COMPONENT)
    verb = _VERBS.get(info.verb, "OTHER")
    if info.verb == "patch" and request.headers.get("Content-Type", "").startswith("application/apply-patch"):
        verb = "APPLY"
    if info.subresource in _CONNECT:
        verb = "CONNECT"
    return (verb, info.group, info.version, info.resource, info.subresource, info.scope, _COMPONENT)


def _counted_run(run: Run, metrics: Metrics, labels: tuple[str, ...]) -> Run:
    """An upgraded connection, counted as a long-running request while it lasts."""

    async def counted(client: Duplex) -> None:
        metrics.long_running.add(labels, 1)
        try:
            await run(client)
        finally:
            metrics.long_running.add(labels, -1)

    return counted


async def _counted(chunks: AsyncIterator[Chunk], metrics: Metrics, labels: tuple[str, ...]) -> AsyncIterator[Chunk]:
    """The stream, counted as a long-running request while it lasts."""
    metrics.long_running.add(labels, 1)
    inner: Any = chunks
    try:
        async with aclosing(inner):
            async for chunk in inner:
                yield chunk
    finally:
        metrics.long_running.add(labels, -1)
