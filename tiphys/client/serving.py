"""What a component other than the API server answers over HTTPS: its metrics and its health.

/healthz, /livez and /readyz are open, as upstream's, and say nothing but names of checks; /metrics needs a client
certificate signed by the cluster's CA.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

Check = Callable[[], str]  # "" when all is well, else what is wrong


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files; `client_ca` signs the certificates that may read metrics."""

    certificate: str
    key: str
    client_ca: str

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_cert_chain(self.certificate, self.key)
        return context


async def serve_diagnostics(
    registry: CollectorRegistry,
    port: int,
    bind_address: str = "127.0.0.1",
    tls: TlsFiles | ssl.SSLContext | None = None,
    checks: Mapping[str, Check] | None = None,
) -> web.AppRunner:
    """Start listening (port 0: any; see `bound_port`); `await runner.cleanup()` ends it.

    `tls` is None only in tests: /metrics is open then.  `checks` decide /readyz and /healthz; /livez only says that the
    event loop runs."""
    readiness = dict(checks or {})

    async def metrics(request: web.Request) -> web.Response:
        if tls is not None and not _has_client_certificate(request):
            return web.Response(status=401, text="a client certificate of the cluster's CA is required\n")
        body = generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def alive(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def ready(request: web.Request) -> web.Response:
        return health_answer(request.path.strip("/"), readiness, verbose="verbose" in request.query)

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    application.router.add_get("/livez", alive)
    application.router.add_get("/readyz", ready)
    application.router.add_get("/healthz", ready)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    context = tls.context() if isinstance(tls, TlsFiles) else tls
    await web.TCPSite(runner, bind_address, port, ssl_context=context, reuse_address=True).start()
    return runner


def bound_port(runner: web.AppRunner) -> int:
    """The port a runner listens on."""
    return int(runner.addresses[0][1])


def health_answer(endpoint: str, checks: Mapping[str, Check], *, verbose: bool) -> web.Response:
    """`ok`, or upstream's list of checks with a 500 when one fails."""
    results = {name: check() for name, check in checks.items()}
    failed = any(results.values())
    if not failed and not verbose:
        return web.Response(text="ok")
    lines = [f"[-]{name} failed: {problem}" if problem else f"[+]{name} ok" for name, problem in results.items()]
    lines.append(f"{endpoint} check {'failed' if failed else 'passed'}")
    return web.Response(status=500 if failed else 200, text="\n".join(lines) + "\n")


def _has_client_certificate(request: web.Request) -> bool:
    transport = request.transport
    return transport is not None and bool(transport.get_extra_info("peercert"))
