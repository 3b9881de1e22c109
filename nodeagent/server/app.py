"""The routes of the agent's HTTPS server and the server itself."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from nodeagent.metrics.families import AgentMetrics
from nodeagent.metrics.text import CONTENT_TYPE
from nodeagent.pods.node import find_container
from nodeagent.runtime.interface import ContainerStatus, Runtime
from nodeagent.server.attach import AttachRoute
from nodeagent.server.authentication import decide
from nodeagent.server.exec import ExecRoute
from nodeagent.server.logfile import LogOptions
from nodeagent.server.logs import stream_log
from nodeagent.server.portforward import PortForwardRoute
from tiphys.api.core.pod import Pod
from tiphys.api.times import TimeError, parse_time
from tiphys.clock import Clock

Page = Callable[[Mapping[str, str]], Awaitable[tuple[bytes, str]]]  # query -> body, content type
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_LARGEST = 2**63 - 1
REQUEST_LINE_LIMIT_BYTES = 256 << 10  # the command of an exec is in it


@dataclass(frozen=True)
class ServerParts:
    """What the routes read."""

    runtime: Runtime
    metrics: AgentMetrics
    clock: Clock
    pods: Callable[[], Sequence[Pod]]
    find_pod: Callable[[str, str], Pod | None]
    netns: Callable[[str], str | None]  # pod uid -> path of its network namespace ("" is the node's own)
    log_dir: Callable[[Pod], Path]
    health: Callable[[], str]  # "" when well, else the cause
    observe: Callable[[], Awaitable[bytes]]  # brings the gauges up to date before they are read; more of the page
    pages: Mapping[str, Page] = field(default_factory=dict)  # path -> what it shows


class BadOption(ValueError):
    """A query parameter that means nothing; the text goes to the client."""


def log_options(query: Any, clock: Clock) -> LogOptions:
    """PodLogOptions from the query.  Raises BadOption."""

    def number(name: str, least: int) -> int | None:
        text = query.get(name)
        if text is None or text == "":
            return None
        if not text.lstrip("-").isdigit() or not least <= int(text) <= _LARGEST:
            raise BadOption(f"{name}: Invalid value: {text!r}: must be an integer of at least {least}")
        return int(text)

    since = None
    seconds = number("sinceSeconds", 1)
    if seconds is not None:
        since = clock.now() - timedelta(seconds=min(seconds, 10**9))
    elif query.get("sinceTime"):
        try:
            since = parse_time(query["sinceTime"])
        except TimeError as error:
            raise BadOption(f"sinceTime: {error}") from error
    return LogOptions(
        follow=_flag(query.get("follow")),
        timestamps=_flag(query.get("timestamps")),
        tail_lines=number("tailLines", 0),
        limit_bytes=number("limitBytes", 1),
        since=since,
        stream=query.get("stream", "All"),
    )


async def _show(page: Page, request: web.Request) -> web.StreamResponse:
    body, kind = await page(request.query)
    return web.Response(body=body, headers={"Content-Type": kind})


def _flag(text: str | None) -> bool:
    return text in ("true", "1", "True", "t")


class Server:
    """`start` and `stop`; `app` is the aiohttp application."""

    def __init__(self, parts: ServerParts) -> None:
        self._parts = parts
        self.app = web.Application(middlewares=[self._guard])
        self.app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        self.app.router.add_get("/pods", self._pods)
        self.app.router.add_get("/pods/", self._pods)
        self.app.router.add_get("/healthz", self._healthz)
        self.app.router.add_get("/readyz", self._healthz)
        self.app.router.add_get("/livez", self._livez)
        self.app.router.add_get("/metrics", self._metrics)
        for path, page in parts.pages.items():
            self.app.router.add_get(path, partial(_show, page))
        self._add_streaming()
        self._runner: web.AppRunner | None = None

    def _add_streaming(self) -> None:
        """A uid in the path makes sure that the pod is the one that the API server decided about."""
        parts, add = self._parts, self.app.router.add_get
        container, pod = "{container}", "/{namespace}/{pod}"
        for prefix in (pod, pod + "/{uid}"):
            add(f"/exec{prefix}/{container}", ExecRoute(parts.runtime, parts.find_pod).handle)
            add(f"/attach{prefix}/{container}", AttachRoute(parts.runtime, parts.find_pod).handle)
            add(f"/portForward{prefix}", PortForwardRoute(parts.find_pod, parts.netns).handle)

    async def start(self, address: str, port: int, cert: Path, key: Path, client_ca: Path) -> int:
        """Listen; returns the port (of use with 0)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(cert, key)
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL  # without a certificate: 401 instead of a broken handshake
        self._runner = web.AppRunner(
            self.app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=1.0,
            max_line_size=REQUEST_LINE_LIMIT_BYTES,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, address, port, ssl_context=context)
        await site.start()
        server = site._server
        assert isinstance(server, asyncio.Server)
        return int(server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        code = decide(request.transport.get_extra_info("peercert") if request.transport is not None else None)
        if code == 401:
            return web.Response(status=401, text="Unauthorized")
        if code == 403:
            return web.Response(status=403, text="Forbidden")
        return await handler(request)

    async def _healthz(self, request: web.Request) -> web.StreamResponse:
        cause = self._parts.health()
        return web.Response(status=500, text=cause) if cause else web.Response(text="ok")

    async def _livez(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="ok")

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        more = await self._parts.observe()
        return web.Response(body=self._parts.metrics.render() + more, headers={"Content-Type": CONTENT_TYPE})

    async def _pods(self, request: web.Request) -> web.StreamResponse:
        body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}}
        return web.Response(
            body=orjson.dumps({**body, "items": [pod.to_dict() for pod in self._parts.pods()]}),
            content_type="application/json",
        )

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        namespace, name, container = (request.match_info[k] for k in ("namespace", "pod", "container"))
        pod = self._parts.find_pod(namespace, name)
        if pod is None:
            return web.Response(status=404, text=f'pod "{name}" not found\n')
        try:
            find_container(pod, container)
            options = log_options(request.query, self._parts.clock)
        except KeyError:
            return web.Response(status=404, text=f'container "{container}" not found in pod "{name}"\n')
        except BadOption as error:
            return web.Response(status=400, text=f"{error}\n")
        attempt = await self._attempt(pod, container, previous=_flag(request.query.get("previous")))
        if isinstance(attempt, str):
            return web.Response(status=400, text=attempt)
        return await self._stream(request, pod, container, attempt, options)

    async def _attempt(self, pod: Pod, container: str, *, previous: bool) -> ContainerStatus | str:
        """The attempt whose log is wanted, or upstream's sentence why there is none."""
        meta = pod.metadata
        statuses = [s for s in await self._parts.runtime.list(meta.uid) if s.spec.name == container]
        statuses.sort(key=lambda s: s.spec.attempt)
        known = [*pod.status.containerStatuses, *pod.status.initContainerStatuses]
        waiting = next((s.state.waiting for s in known if s.name == container and s.state.waiting is not None), None)
        if previous:
            if statuses and statuses[-1].state == "exited" and waiting is not None:
                return statuses[-1]
            if len(statuses) > 1:
                return statuses[-2]
            return f'previous terminated container "{container}" in pod "{meta.name}" not found'
        if statuses and not (len(statuses) == 1 and statuses[-1].state == "created"):
            return statuses[-1] if statuses[-1].state != "created" else statuses[-2]
        reason = waiting.reason if waiting is not None else "ContainerCreating"
        if reason in ("ErrImagePull", "ImagePullBackOff"):
            return f'container "{container}" in pod "{meta.name}" is waiting to start: trying and failing to pull image'
        return f'container "{container}" in pod "{meta.name}" is waiting to start: {reason}'

    async def _stream(
        self, request: web.Request, pod: Pod, container: str, attempt: ContainerStatus, options: LogOptions
    ) -> web.StreamResponse:
        ended = attempt.state == "exited"

        def on_exit(event: asyncio.Event) -> Callable[[], None]:
            def listener(status: ContainerStatus) -> None:
                nonlocal ended
                if status.id == attempt.id:
                    ended = True
                    event.set()

            return self._parts.runtime.on_exit(listener)

        chunks = stream_log(attempt.spec.log_path, options, lambda: not ended, on_exit)
        response = web.StreamResponse(headers={"Content-Type": "text/plain", "Transfer-Encoding": "chunked"})
        try:
            first = await anext(chunks, b"") if not options.follow else b""
        except FileNotFoundError:
            return web.Response(status=200, text="")
        await response.prepare(request)
        try:
            if first:
                await response.write(first)
            async for chunk in chunks:
                await response.write(chunk)
            await response.write_eof()
        except FileNotFoundError:
            await response.write_eof()
        finally:
            await chunks.aclose()
        return response
