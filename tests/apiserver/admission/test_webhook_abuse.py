"""Webhooks that mean harm: each ends as its failurePolicy says, within its time, and nothing of it is kept or shown."""

from __future__ import annotations

import base64
import json
import logging
import time
import zlib
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from apiserver.outbound import (
    ANSWER_LIMIT_BYTES,
    Address,
    Outbound,
    OutboundError,
    ServiceReference,
    Trust,
    ready_addresses,
)
from tests.apiserver.admission.configured import config_map, configured, create, hook, new_namespace
from tests.apiserver.admission.webhookserver import WebhookServer, webhook_server
from tests.apiserver.cluster import Cluster

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.answers_500]

CANARY = "canary-4711"
TIMEOUT_SECONDS = 2
GENEROUS_SECONDS = 10.0
Raw = Callable[[BaseHTTPRequestHandler], None]


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def redirect(handler: BaseHTTPRequestHandler) -> None:
    host = handler.headers["Host"]
    send(handler, CANARY.encode(), 307, Location=f"https://{host}/elsewhere")


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    chunk = CANARY.encode() * 100
    while True:
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        time.sleep(0.01)


def large(handler: BaseHTTPRequestHandler) -> None:
    uid = "x" * (5 << 20)
    send(handler, json.dumps({"response": {"uid": uid, "allowed": True}, "canary": CANARY}).encode())


@cache
def bomb_body() -> bytes:
    """256 MiB of blanks in 256 KiB."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, 31)
    return b"".join(deflate.compress(b" " * (1 << 20)) for _ in range(256)) + deflate.flush()


def bomb(handler: BaseHTTPRequestHandler) -> None:
    send(handler, bomb_body(), Content_Encoding="gzip")


def peak_bytes() -> int:
    """The most memory this process has had since the last call."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def wrong_status(handler: BaseHTTPRequestHandler) -> None:
    send(handler, CANARY.encode(), 500)


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(CANARY.encode())
    handler.wfile.flush()
    handler.connection.close()


ABUSES: dict[str, tuple[Raw, str]] = {
    "redirect": (redirect, "the server responded with the status code 307 but did not return more information"),
    "endless": (endless, "context deadline exceeded"),
    "large": (large, f"the response body is too large: limit is {ANSWER_LIMIT_BYTES} bytes"),
    "bomb": (bomb, f"the response body is too large: limit is {ANSWER_LIMIT_BYTES} bytes"),
    "wrong-status": (wrong_status, 'an error on the server ("unknown") has prevented the request from succeeding'),
    "cut": (cut, "unexpected EOF"),
}


@pytest.mark.parametrize("name", ABUSES)
async def test_an_abusive_answer_is_a_failed_call_in_time(
    cluster: Cluster, webhooks: WebhookServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhooks.raw["/abuse"], text = ABUSES[name]
    webhooks.answering["/elsewhere"] = lambda request: {"allowed": True}
    namespace = await new_namespace(cluster)
    bomb_body()  # made before the time of the call runs
    peak_bytes()
    memory, started = peak_bytes(), time.monotonic()
    strict = hook(webhooks.url("/abuse"), timeoutSeconds=TIMEOUT_SECONDS)
    async with configured(cluster, "validating", namespace, strict):
        refused = await create(cluster, namespace, config_map(secret="value-in-a-body"))
    assert refused.status == 500
    assert refused.json["message"].startswith('Internal error occurred: failed calling webhook "hook.example.com": ')
    assert refused.json["message"].endswith(text)
    async with configured(cluster, "validating", namespace, {**strict, "failurePolicy": "Ignore"}):
        assert (await create(cluster, namespace, config_map("ignored"))).status == 201
    assert time.monotonic() - started < 2 * TIMEOUT_SECONDS + GENEROUS_SECONDS
    assert peak_bytes() - memory < 128 << 20, "the bomb was inflated"
    assert not webhooks.requests("/elsewhere"), "a redirect was followed"
    heard = refused.body.decode() + caplog.text
    assert CANARY not in heard and "value-in-a-body" not in heard


async def test_a_webhook_that_means_well_passes_the_same_way(cluster: Cluster, webhooks: WebhookServer) -> None:
    webhooks.answering["/well"] = lambda request: {"allowed": False, "status": {"message": CANARY}}
    namespace = await new_namespace(cluster)
    async with configured(cluster, "validating", namespace, hook(webhooks.url("/well"))):
        refused = await create(cluster, namespace, config_map())
    assert CANARY in refused.json["message"]


LOOPBACK = ("127.0.0.1", "[::1]", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "2130706433")


@pytest.mark.parametrize("host", LOOPBACK)
async def test_no_request_leaves_for_a_forbidden_address(cluster: Cluster, tmp_path: Path, host: str) -> None:
    with webhook_server(tmp_path, "localhost", address="127.0.0.1") as local:
        local.answering["/local"] = lambda request: {"allowed": True}
        namespace = await new_namespace(cluster)
        config = {**local.url("/local"), "url": f"https://{host}:{local.port}/local"}
        async with configured(cluster, "validating", namespace, hook(config, timeoutSeconds=TIMEOUT_SECONDS)):
            refused = await create(cluster, namespace, config_map())
        why = "invalid URL" if host.isdigit() else "address not allowed"
        assert refused.status == 500 and why in refused.json["message"]
        assert not local.seen
        # The control: the same call goes through where the server is told to allow it.
        if host in ("127.0.0.1", "localhost"):
            outbound = Outbound(cluster.server.resources, allow_loopback=True)
            try:
                await outbound.call(config["url"], Trust(insecure=True), body=b'{"request": {"uid": "1"}}')
            except OutboundError as error:
                assert "address not allowed" not in str(error)
            finally:
                await outbound.close()
            assert [path for path, _ in local.seen] == ["/local"]


async def test_the_certificate_must_be_the_services_own(cluster: Cluster, webhooks: WebhookServer) -> None:
    outbound = Outbound(cluster.server.resources)
    webhooks.answering["/any"] = lambda request: {"allowed": True}
    bundle = base64.b64decode(webhooks.ca_bundle)
    url = webhooks.url("/any")["url"]
    try:
        body = json.dumps({"apiVersion": "x", "request": {"uid": "1"}}).encode()
        assert (await outbound.call(url, Trust(bundle), body=body)).status == 200
        with pytest.raises(OutboundError, match="certificate signed by unknown authority"):
            await outbound.call(url, Trust((cluster.data_dir / "pki" / "ca.crt").read_bytes()), body=body)
        other = url.replace(webhooks.address, "other.invalid")
        with pytest.raises(OutboundError, match=r"no such host|EOF|i/o timeout"):
            await outbound.call(other, Trust(bundle), body=body)
        with pytest.raises(OutboundError, match='service "nobody" not found'):
            await outbound.call(ServiceReference("default", "nobody"), Trust(bundle), body=body)
        with pytest.raises(OutboundError, match="unable to parse bytes as PEM block"):
            await outbound.call(url, Trust(b"no certificate"), body=body)
    finally:
        await outbound.close()


async def test_only_ready_endpoints_of_the_right_port_are_called() -> None:
    def endpoint(ip: str, **conditions: Any) -> dict[str, Any]:
        return {"addresses": [ip], "conditions": conditions}

    slices: list[dict[str, Any]] = [
        {
            "ports": [{"name": "https", "port": 8443}, {"name": "metrics", "port": 9}],
            "endpoints": [endpoint("10.0.0.1", ready=True), endpoint("10.0.0.2", ready=False), endpoint("10.0.0.3")],
        },
        {"ports": [{"name": "https"}], "endpoints": [endpoint("10.0.0.4")]},
        {"ports": None, "endpoints": None},
    ]
    assert ready_addresses(slices, "https") == [Address("10.0.0.1", 8443), Address("10.0.0.3", 8443)]
