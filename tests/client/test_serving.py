"""The diagnostics endpoints: open health, metrics for those the CA knows."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry, Counter

from tests.client.server import config_of
from tiphys.client.serving import TlsFiles, bound_port, serve_diagnostics


@pytest_asyncio.fixture
async def endpoint(pki_dir: Path) -> AsyncIterator[tuple[int, dict[str, str]]]:
    """(port, problems): `problems` is what the one check says."""
    registry, problems = CollectorRegistry(), {"sync": ""}
    Counter("things", "Things", registry=registry).inc()
    tls = TlsFiles(str(pki_dir / "controllers.crt"), str(pki_dir / "controllers.key"), str(pki_dir / "ca.crt"))
    runner = await serve_diagnostics(registry, 0, "127.0.0.1", tls, {"sync": lambda: problems["sync"]})
    yield bound_port(runner), problems
    await runner.cleanup()


async def fetch(port: int, path: str, context: ssl.SSLContext | None) -> tuple[int, str]:
    url = f"https://127.0.0.1:{port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=context or False) as answer:
        return answer.status, await answer.text()


async def test_metrics_need_a_client_certificate_of_the_ca(endpoint: tuple[int, dict[str, str]], pki_dir: Path) -> None:
    port, _ = endpoint
    status, text = await fetch(port, "/metrics", None)
    assert status == 401 and "things_total" not in text
    context = config_of(pki_dir, port).ssl_context()
    status, text = await fetch(port, "/metrics", context)
    assert status == 200 and "things_total 1.0" in text


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_health_is_open_and_short(endpoint: tuple[int, dict[str, str]], path: str) -> None:
    assert await fetch(endpoint[0], path, None) == (200, "ok")


async def test_a_failing_check_is_named_and_does_not_kill_the_process(endpoint: tuple[int, dict[str, str]]) -> None:
    port, problems = endpoint
    problems["sync"] = "caches are filling"
    status, text = await fetch(port, "/readyz", None)
    assert status == 500 and text == "[-]sync failed: caches are filling\nreadyz check failed\n"
    assert (await fetch(port, "/livez", None))[0] == 200
