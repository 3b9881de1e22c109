"""HTTP probes and hooks against a real server: redirects, headers, limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from nodeagent.pods.handlers import REDIRECTED, http_get
from tiphys.api.core.container import Container
from tiphys.api.core.probes import HTTPGetAction

SEEN: list[list[tuple[str, str]]] = []
CONTAINER = Container.model_validate({"name": "c", "image": "x"})


async def answer(request: web.Request) -> web.StreamResponse:
    SEEN.append(list(request.headers.items()))
    path = request.path
    if path == "/loop":
        raise web.HTTPFound("/loop")
    if path.startswith("/to"):
        raise web.HTTPFound(request.query["url"])
    if path == "/endless":
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
    return web.Response(status=500 if path == "/ill" else 200, text=f"at {request.host} {path}")


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    SEEN.clear()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def get(port: int, path: str, headers: list[tuple[str, str]] | None = None, **more: Any) -> tuple[bool, str]:
    sent = [{"name": name, "value": value} for name, value in headers or []]
    action = HTTPGetAction.model_validate({"path": path, "port": port, "scheme": "HTTP", "httpHeaders": sent})
    async with aiohttp.ClientSession(auto_decompress=True) as session:
        return await http_get(session, action, CONTAINER, "127.0.0.1", 10, **more)


@pytest.mark.parametrize(
    ("path", "follow", "success", "text"),
    [
        ("/well", True, True, "/well"),
        ("/ill", True, False, "HTTP probe failed with statuscode: 500"),
        ("/to?url=/ill", True, False, "HTTP probe failed with statuscode: 500"),  # what counts is where it leads
        ("/to?url=/well", True, True, "/well"),
        ("/to?url=http://elsewhere.invalid/ill", True, True, REDIRECTED),  # another host is never asked
        ("/to?url=/ill", False, True, ""),  # a hook does not follow
        ("/loop", True, True, ""),
        ("/endless", True, True, "xxxx"),
    ],
)
async def test_redirects_are_followed_on_the_same_host(
    port: int, path: str, follow: bool, success: bool, text: str
) -> None:
    found, output = await get(port, path, follow=follow)
    assert (found, text in output) == (success, True), output
    assert len(output) <= 16 * 1024 and len(SEEN) <= 11


async def test_headers_are_the_action_s_own_where_it_gives_them(port: int) -> None:
    await get(
        port, "/well", [("Host", "a.example"), ("X-Two", "1"), ("X-Two", "2"), ("User-Agent", ""), ("Accept", "a/b")]
    )
    names = [(name.lower(), value) for name, value in SEEN[0]]
    assert [value for name, value in names if name == "x-two"] == ["1", "2"]
    assert not any(name == "user-agent" for name, _ in names)
    assert ("host", "a.example") in names and ("accept", "a/b") in names
    await get(port, "/well", agent="kube-lifecycle/1.36")
    assert ("User-Agent", "kube-lifecycle/1.36") in SEEN[1]
