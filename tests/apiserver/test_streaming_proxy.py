"""pods/proxy, services/proxy, nodes/proxy through a real API server to real backends on an address of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.apiserver.agents import Asked, agent_end, answer, grant, make_node, make_pod
from tests.apiserver.cluster import Cluster

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]
NAMESPACE = "/api/v1/namespaces/default"


@pytest.fixture(scope="module")
def pod_ip() -> Iterator[str]:
    """An address that is this machine's and yet not loopback's, as a pod's is."""
    address = f"198.18.{os.getpid() % 250}.{os.getpid() // 250 % 250 + 1}"
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    yield address
    subprocess.run(["ip", "address", "delete", f"{address}/32", "dev", "lo"], check=True)


async def show(request: web.Request) -> web.StreamResponse:
    """Everything about the request, as JSON."""
    body = await request.read()
    headers = [[name, value] for name, value in request.headers.items()]
    found = {"method": request.method, "path": request.raw_path, "headers": headers, "body": body.decode("latin-1")}
    return web.json_response(found, headers={"X-Backend": "yes", "Set-Cookie": "a=1"})


async def socket(request: web.Request) -> web.StreamResponse:
    """A WebSocket that answers every message with itself and the request's credentials."""
    response = web.WebSocketResponse(protocols=("chat",))
    await response.prepare(request)
    async for message in response:
        await response.send_str(f"{message.data} {request.raw_path} {request.headers.get('Authorization')}")
    return response


async def redirect(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(request.query["to"])


async def page(request: web.Request) -> web.StreamResponse:
    response = web.Response(text='<a href="/rewriteme">test</a>', content_type="text/html")
    if "gzip" in request.query:
        response.enable_compression(web.ContentCoding.gzip)
    return response


async def slow(request: web.Request) -> web.StreamResponse:
    """One piece now, the next when the client asks /release."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"one")
    await request.app[GATE].wait()
    await response.write(b"two")
    return response


async def release(request: web.Request) -> web.StreamResponse:
    request.app[GATE].set()
    return web.Response()


async def broken(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"half")
    assert request.transport is not None
    request.transport.abort()
    return response


GATE = web.AppKey("gate", asyncio.Event)


@contextlib.asynccontextmanager
async def backend(address: str, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    app = web.Application()
    app[GATE] = asyncio.Event()
    handlers = {"redirect": redirect, "page": page, "slow": slow, "release": release, "broken": broken}
    app.router.add_get("/socket", socket)
    for name, handler in handlers.items():
        app.router.add_get(f"/{name}", handler)
    app.router.add_route("*", "/{tail:.*}", show)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, address, 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def headers_of(shown: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in shown["headers"]}


@pytest.mark.parametrize("method", ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"])
async def test_every_method_reaches_the_pod_with_path_query_and_body(
    cluster: Cluster, pod_ip: str, method: str
) -> None:
    name = f"methods-{method.lower()}"
    async with backend(pod_ip) as port:
        await make_pod(cluster, name, "", ip=pod_ip)
        path = f"{NAMESPACE}/pods/{name}:{port}/proxy/some/pa%20th,x/?q=a%2Fb&watch=true&x"
        body = b"\0body" if method in ("PATCH", "POST", "PUT") else None
        sent = {"Authorization": "Bearer secret", "Cookie": "c=1", "X-Forwarded-For": "6.6.6.6", "X-Own": "1"}
        got = await cluster.request(method, path, body, content_type="text/plain", headers=sent)
        assert got.status == 200 and got.headers["X-Backend"] == "yes" and got.headers["Set-Cookie"] == "a=1"
        if method == "HEAD":
            assert got.body == b"" and int(got.headers["Content-Length"]) > 0
            return
        assert got.json["method"] == method
        assert got.json["path"] == "/some/pa%20th,x/?q=a%2Fb&watch=true&x"
        assert got.json["body"] == ("\0body" if body else "")
        seen = headers_of(got.json)
        assert seen["host"] == f"{pod_ip}:{port}" and seen["x-own"] == "1" and seen["cookie"] == "c=1"
        assert not {"authorization", "x-forwarded-for", "x-remote-user"} & set(seen)
        assert seen["x-forwarded-uri"].startswith(f"{NAMESPACE}/pods/{name}:{port}/proxy/some/")


async def test_without_a_path_the_client_is_sent_to_the_slash(cluster: Cluster, pod_ip: str) -> None:
    async with backend(pod_ip) as port:
        await make_pod(cluster, "slash", "", ip=pod_ip)
        base = f"{NAMESPACE}/pods/slash:{port}/proxy"
        session = cluster.session()
        async with session.get(f"{cluster.url}{base}?a=b", allow_redirects=False) as answered:
            assert answered.status == 301 and answered.headers["Location"] == f"{base}/?a=b"
        assert (await cluster.request("GET", f"{base}/?a=b")).json["path"] == "/?a=b"
        assert (await cluster.request("POST", base, b"x")).json["path"] == "/"


async def test_a_redirect_leads_back_through_the_proxy_and_is_never_followed(cluster: Cluster, pod_ip: str) -> None:
    async with backend(pod_ip) as port, agent_end(cluster, answer("HTTP/1.1 200 OK\r\n\r\n"), tls=False) as other:
        await make_pod(cluster, "redirect", "", ip=pod_ip)
        base = f"{NAMESPACE}/pods/redirect:{port}/proxy"
        elsewhere = f"http://127.0.0.1:{other.port}/secret"
        for to, expected in (("/there", f"{base}/there"), (elsewhere, elsewhere), ("next", "next")):
            url = f"{cluster.url}{base}/redirect?to={to}"
            async with cluster.session().get(url, allow_redirects=False) as answered:
                assert answered.status == 302 and answered.headers["Location"] == expected
        assert other.asked == []
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "AAAA"}
        got = await cluster.request("GET", f"{base}/redirect?to={elsewhere}", headers=upgrade)
        assert got.status == 502 and other.asked == []


async def test_a_pages_links_lead_through_the_proxy(cluster: Cluster, pod_ip: str) -> None:
    async with backend(pod_ip) as port:
        await make_pod(cluster, "page", "", ip=pod_ip)
        base = f"{NAMESPACE}/pods/page:{port}/proxy"
        for query in ("", "?gzip"):
            got = await cluster.request("GET", f"{base}/page{query}")
            assert got.body.decode() == f'<a href="{base}/rewriteme">test</a>'


async def test_an_answer_is_passed_on_as_it_comes(cluster: Cluster, pod_ip: str) -> None:
    async with backend(pod_ip) as port:
        await make_pod(cluster, "slow", "", ip=pod_ip)
        base = f"{NAMESPACE}/pods/slow:{port}/proxy"
        async with cluster.session().get(f"{cluster.url}{base}/slow") as answered:
            assert await asyncio.wait_for(answered.content.readany(), 10) == b"one"
            await cluster.request("GET", f"{base}/release")
            assert await asyncio.wait_for(answered.content.read(), 10) == b"two"
        with pytest.raises(aiohttp.ClientError):  # half an answer is not taken for a whole one
            await cluster.request("GET", f"{base}/broken")


async def test_a_large_body_passes_without_the_limit_of_objects(cluster: Cluster, pod_ip: str) -> None:
    async with backend(pod_ip) as port:
        await make_pod(cluster, "large", "", ip=pod_ip)
        base = f"{NAMESPACE}/pods/large:{port}/proxy"
        got = await cluster.request("POST", f"{base}/x", b"x" * 900_000, headers={"Content-Encoding": "gzip"})
        assert len(got.json["body"]) == 900_000 and headers_of(got.json)["content-encoding"] == "gzip"

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"y" * 90_000

        async with cluster.session().put(f"{cluster.url}{base}/x", data=pieces()) as answered:
            assert (await answered.json())["body"] == "y" * 900_000


async def test_a_websocket_passes_through_without_the_callers_credentials(cluster: Cluster, pod_ip: str) -> None:
    async with backend(pod_ip) as port:
        await make_pod(cluster, "socket", "", ip=pod_ip)
        url = f"{cluster.url}{NAMESPACE}/pods/socket:{port}/proxy/socket?a=b"
        headers = {"Authorization": "Bearer secret"}
        async with cluster.session().ws_connect(url, protocols=("chat",), headers=headers) as connection:
            assert connection.protocol == "chat"
            await connection.send_str("hello")
            assert (await connection.receive()).data == "hello /socket?a=b None"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await cluster.session().ws_connect(url.replace("socket?a=b", "plain"))
        assert refused.value.status == 200  # the backend's own answer


async def test_the_ways_to_name_a_pod_and_its_scheme(cluster: Cluster, pod_ip: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pki = cluster.data_dir / "pki"
    context.load_cert_chain(pki / "node-n1.crt", pki / "node-n1.key")
    async with backend(pod_ip) as plain, backend(pod_ip, context) as secure:
        await make_pod(cluster, "named", "", ip=pod_ip)
        for name, code in (
            (f"named:{plain}", 200),
            (f"http:named:{plain}", 200),
            (f"https:named:{secure}", 200),
            (f"https:named:{plain}", 503),
            (f"named:{secure}", 503),
            ("named:www", 400),
            ("ftp:named:80", 400),
            ("absent:80", 404),
            ("named:1", 503),
        ):
            got = await cluster.request("GET", f"{NAMESPACE}/pods/{name}/proxy/x")
            assert got.status == code, (name, got.body)
        assert (await cluster.request("GET", f"{NAMESPACE}/pods/named:1/proxy/x")).json["message"] == (
            f"error trying to reach service: dial tcp {pod_ip}:1: connect: connection refused"
        )


async def test_a_service_is_reached_through_its_endpoints(cluster: Cluster, pod_ip: str) -> None:
    async with backend(pod_ip) as port:
        await make_pod(cluster, "backend", "", ip=pod_ip, labels={"app": "backend"})
        ports = [{"name": "www", "port": 80, "targetPort": port}]
        service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "backend"}, "ports": ports}}
        await cluster.must("POST", f"{NAMESPACE}/services", service)
        base = f"{NAMESPACE}/services"
        # Nobody keeps endpoints here yet: the pods it selects.
        for name in ("web:80", "web:www", "http:web:80"):
            assert (await cluster.request("GET", f"{base}/{name}/proxy/x")).status == 200
        for name, text in (
            ("web:81", 'no service port 81 found for service "web"'),
            ("web:other", 'no endpoints available for service "web:other"'),
            ("web", 'no endpoints available for service "web"'),
        ):
            got = await cluster.request("GET", f"{base}/{name}/proxy/x")
            assert got.status == 503 and got.json["message"] == text
        slice_ = {
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "ports": [{"name": "www", "port": port, "protocol": "TCP"}],
            "endpoints": [
                {"addresses": ["127.0.0.1"], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": "no"}}
            ],
        }
        path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        made = await cluster.request("POST", path, slice_)
        if made.status == 422:  # validation refuses a loopback endpoint by itself
            slice_["endpoints"] = [{**slice_["endpoints"][0], "addresses": ["198.18.255.254"]}]  # type: ignore[index]
            made = await cluster.request("POST", path, slice_)
        assert made.status == 201, made.body
        assert (await cluster.request("GET", f"{base}/web:80/proxy/x")).status == 503  # no pod has that address
        endpoint = {"addresses": [pod_ip], "targetRef": {"kind": "Pod", "name": "backend", "namespace": "default"}}
        await cluster.must("PUT", f"{path}/web-1", {**made.json, "endpoints": [endpoint]})
        assert (await cluster.request("GET", f"{base}/web:80/proxy/x")).status == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "::ffff:127.0.0.1", "fe80::1"])
async def test_a_pod_that_claims_a_forbidden_address_is_not_reached(cluster: Cluster, address: str) -> None:
    name = f"forbidden-{address.replace(':', 'x').replace('.', '-')}-p"
    made = await make_pod(cluster, name, "")
    made["status"] = {"podIP": address, "podIPs": [{"ip": address}]}
    if (await cluster.request("PUT", f"{NAMESPACE}/pods/{name}/status", made)).status == 422:
        return  # such a status does not even get in
    async with agent_end(cluster, answer("HTTP/1.1 200 OK\r\n\r\n"), tls=False) as other:
        path = f"{NAMESPACE}/pods/{name}:{other.port}/proxy/x"
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "AAAA"}
        for headers in ({}, upgrade):
            got = await cluster.request("GET", path, headers=headers)
            assert got.status == 403 and got.json["message"] == "address not allowed"
        assert other.asked == []


async def test_the_control_for_forbidden_addresses_somebody_does_answer_there(cluster: Cluster, pod_ip: str) -> None:
    async with backend("127.0.0.1") as port:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/x") as answered:
            assert answered.status == 200
        await make_pod(cluster, "control", "", ip="127.0.0.1")
        assert (await cluster.request("GET", f"{NAMESPACE}/pods/control:{port}/proxy/x")).status == 403


async def test_a_nodes_proxy_reaches_its_agent_with_our_certificate_and_no_other_port_of_loopback(
    cluster: Cluster,
) -> None:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked) -> None:
        name = writer.get_extra_info("peercert")["subject"]
        writer.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{asked.path} {name}".encode())
        writer.close()

    async with agent_end(cluster, act) as agent, backend("127.0.0.1") as other:
        await make_node(cluster, "proxied", agent.port)
        for name in ("proxied", f"proxied:{agent.port}", f"https:proxied:{agent.port}"):
            got = await cluster.request("GET", f"/api/v1/nodes/{name}/proxy/metrics/cadvisor?a=b")
            assert got.status == 200
            assert got.body.decode().startswith("/metrics/cadvisor?a=b ") and b"kube-apiserver-kubelet" in got.body
        got = await cluster.request("GET", f"/api/v1/nodes/proxied:{other}/proxy/x")
        assert got.status == 403 and got.json["message"] == "address not allowed"
        assert (await cluster.request("GET", "/api/v1/nodes/absent/proxy/x")).status == 404


@pytest.mark.parametrize("tail", ["a//b", "a/../b", "a/%2e%2e/b", "a%2fb", "a%5cb", "%zz", "a/./b"])
async def test_a_path_that_two_readers_could_read_differently_is_refused(
    cluster: Cluster, pod_ip: str, tail: str
) -> None:
    async with backend(pod_ip) as port:
        if (await cluster.request("GET", f"{NAMESPACE}/pods/paths")).status == 404:
            await make_pod(cluster, "paths", "", ip=pod_ip)
        assert (await cluster.request("GET", f"{NAMESPACE}/pods/paths:{port}/proxy/{tail}")).status == 400


async def test_the_rights_are_those_of_the_method(cluster: Cluster, pod_ip: str) -> None:
    async with backend(pod_ip) as port:
        await make_pod(cluster, "rights", "", ip=pod_ip)
        path = f"{NAMESPACE}/pods/rights:{port}/proxy/x?watch=true"
        reading = await grant(cluster, "reads-pods-proxy", ["get"], ["pods/proxy"])
        for method, code in (
            ("GET", 200),
            ("HEAD", 200),
            ("POST", 403),
            ("PUT", 403),
            ("DELETE", 403),
            ("OPTIONS", 403),
        ):
            assert (await cluster.request(method, path, headers=reading)).status == code, method
