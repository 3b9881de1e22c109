"""The pure parts of the proxy, as tables: addresses, IDs, headers, links."""

from __future__ import annotations

import time
from typing import Any

import pytest
from multidict import CIMultiDict

from apiserver.streaming import locations
from apiserver.streaming.addresses import AddressNotAllowed, allowed, checked_socket
from apiserver.streaming.headers import request_headers, response_headers, subprotocols
from apiserver.streaming.locations import Address, Named
from apiserver.streaming.messages import accept_key, message
from apiserver.streaming.rewrite import Links
from tiphys.api.status import StatusError


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.244.0.7", True),
        ("192.168.1.1", True),
        ("8.8.8.8", True),
        ("fd00::7", True),
        ("2001:db8::7", True),
        ("::ffff:10.0.0.1", True),
        ("127.0.0.1", False),
        ("127.255.255.254", False),
        ("::1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("169.254.169.254", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("224.0.0.1", False),
        ("ff02::1", False),
        ("255.255.255.255", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("2002:7f00:0001::", False),  # 6to4 of 127.0.0.1
        ("localhost", False),
        ("0177.0.0.1", False),
        ("2130706433", False),
        ("", False),
    ],
)
def test_loopback_and_link_local_are_refused_in_every_spelling(address: str, expected: bool) -> None:
    assert allowed(address) is expected


def test_the_address_decides_when_the_socket_is_made() -> None:
    """A name that was harmless when asked and is not any more: what counts is the address that came out."""
    checked_socket((2, 1, 6, "", ("10.0.0.1", 80))).close()
    with pytest.raises(AddressNotAllowed):
        checked_socket((2, 1, 6, "", ("127.0.0.1", 80)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", Named("", "web", "")),
        ("web:80", Named("", "web", "80")),
        ("https:web:", Named("https", "web", "")),
        ("http:web:www", Named("http", "web", "www")),
        ("ftp:web:80", None),
        ("a:b:c:d", None),
        (":80", None),
        ("", None),
    ],
)
def test_an_id_names_scheme_object_and_port(text: str, expected: Named | None) -> None:
    if expected is not None:
        assert locations.parse_id(text, "pod") == expected
        return
    with pytest.raises(StatusError) as refused:
        locations.parse_id(text, "pod")
    assert refused.value.code == 400 and refused.value.message == f'invalid pod request "{text}"'


def pod(name: str, ip: str, *, ready: bool = True, ports: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "ports": ports or []}]},
        "status": {"podIP": ip, "conditions": conditions} if ip else {},
    }


PODS = {"p1": pod("p1", "10.0.0.1"), "p2": pod("p2", "10.0.0.2", ports=[{"name": "http", "containerPort": 8080}])}
PODS["p3"] = pod("p3", "10.0.0.3", ready=False)
SERVICE = {
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"name": "www", "port": 80, "targetPort": "http"}, {"port": 81}]},
}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("p1", "p1", Address("10.0.0.1", 80)),
        ("p1", "https:p1:", Address("10.0.0.1", 443)),
        ("p2", "p2", Address("10.0.0.2", 8080)),
        ("p2", "p2:9", Address("10.0.0.2", 9)),
    ],
)
def test_a_pods_port_is_asked_for_or_its_first(name: str, text: str, expected: Address) -> None:
    assert locations.pod_address(PODS[name], locations.parse_id(text, "pod")) == expected


@pytest.mark.parametrize("text", ["p1:http", "p1:0", "p1:65536", "p1:²"])
def test_a_pods_port_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(StatusError) as refused:
        locations.pod_address(PODS["p1"], locations.parse_id(text, "pod"))
    assert refused.value.code == 400


def reference(name: str) -> dict[str, str]:
    return {"kind": "Pod", "name": name}


def test_an_endpoint_is_believed_only_for_a_pod_that_has_the_address() -> None:
    endpoints: list[dict[str, Any]] = [
        {"addresses": ["10.0.0.1"], "targetRef": reference("p1"), "conditions": {"ready": True}},
        {"addresses": ["10.0.0.2"], "targetRef": reference("p2"), "conditions": {"ready": False}},
        {"addresses": ["10.0.0.9"], "targetRef": reference("p2")},  # not its address
        {"addresses": ["10.0.0.2"], "targetRef": reference("gone")},
        {"addresses": ["127.0.0.1"], "targetRef": None},
        {"addresses": ["10.0.0.2"], "targetRef": {"kind": "Node", "name": "p2"}},
    ]
    one = {"ports": [{"name": "www", "port": 8080}, {"name": "other", "port": 1}], "endpoints": endpoints}
    assert locations.slice_addresses([one], "www", PODS.get) == [Address("10.0.0.1", 8080)]
    ready = [endpoint for endpoint in endpoints if endpoint.get("conditions") != {"ready": False}]
    addresses = [{"ip": e["addresses"][0], "targetRef": e["targetRef"]} for e in ready]
    subset = {"addresses": addresses, "ports": [{"name": "www", "port": 8080}]}
    found = locations.endpoints_addresses({"subsets": [subset]}, "www", PODS.get)
    assert found == [Address("10.0.0.1", 8080)]


def test_without_endpoints_the_selected_ready_pods_are_taken() -> None:
    pods = list(PODS.values())
    assert locations.selected_addresses(SERVICE, "www", pods) == [Address("10.0.0.2", 8080)]
    assert locations.selected_addresses(SERVICE, "", pods) == [Address("10.0.0.1", 81), Address("10.0.0.2", 81)]
    assert locations.selected_addresses({**SERVICE, "spec": {"ports": [{"port": 81}]}}, "", pods) == []


def test_a_services_port_is_a_name_or_a_number_it_has() -> None:
    assert locations.service_port(SERVICE, "80") == "www"
    assert locations.service_port(SERVICE, "81") == ""
    assert locations.service_port(SERVICE, "www") == "www"
    with pytest.raises(StatusError) as refused:
        locations.service_port(SERVICE, "82")
    assert refused.value.message == 'no service port 82 found for service "web"' and refused.value.code == 503


def test_credentials_and_what_belongs_to_one_hop_stay_here() -> None:
    sent = CIMultiDict(
        {
            "Connection": "X-Hop, close",
            "X-Hop": "1",
            "Keep-Alive": "1",
            "TE": "trailers",
            "Transfer-Encoding": "chunked",
        }
    )
    sent.extend({"Authorization": "Bearer x", "Proxy-Authorization": "y", "Impersonate-User": "root", "Host": "api"})
    sent.extend({"X-Remote-User": "root", "X-Forwarded-For": "1.2.3.4", "Impersonate-Extra-a": "b", "Upgrade": "h2c"})
    kept = [("Accept", "text/html"), ("Cookie", "a=1"), ("X-Twice", "1"), ("X-Twice", "2"), ("Content-Length", "3")]
    for name, value in kept:
        sent.add(name, value)
    assert request_headers(sent) == kept


def test_an_answers_headers_pass_but_for_its_hop() -> None:
    answer = CIMultiDict({"Connection": "close, X-Hop", "X-Hop": "1", "Transfer-Encoding": "chunked"})
    kept = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Type", "text/plain")]
    for name, value in kept:
        answer.add(name, value)
    assert response_headers(answer) == kept


def test_a_token_among_the_subprotocols_stays_here() -> None:
    sent = CIMultiDict({"Sec-WebSocket-Protocol": "base64url.bearer.authorization.k8s.io.eA, v4.channel.k8s.io"})
    sent.add("Sec-WebSocket-Protocol", "v5.channel.k8s.io")
    assert subprotocols(sent) == ["v4.channel.k8s.io", "v5.channel.k8s.io"]


LINKS = Links("/api/v1/namespaces/n/pods/p/proxy", "10.0.0.1:80", "localhost:8001")
P = "/api/v1/namespaces/n/pods/p/proxy"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/a/b?c#d", f"{P}/a/b?c#d"),
        ("/", f"{P}/"),
        ("/a/", f"{P}/a/"),
        (f"{P}/a", f"{P}/a"),
        ("http://10.0.0.1:80/a", f"{P}/a"),
        ("http://10.0.0.1/a", f"{P}/a"),
        ("https://localhost:8001/a", f"{P}/a"),
        ("/a/../../../../../b", f"{P}/b"),
        ("a/b", "a/b"),
        ("http://elsewhere/a", "http://elsewhere/a"),
        ("//elsewhere/a", "//elsewhere/a"),
        ("mailto:a@b", "mailto:a@b"),
        ("http://[::", "http://[::"),
    ],
)
def test_links_to_the_backend_lead_through_the_proxy(url: str, expected: str) -> None:
    assert LINKS.location(url) == expected


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ('<a href="/rewriteme">test</a>', f'<a href="{P}/rewriteme">test</a>'),
        ("<A HREF='/x' class=y>", f"<A HREF='{P}/x' class=y>"),
        ("<img alt=/x src=/x>", f'<img alt=/x src="{P}/x">'),
        ('<a href="http://elsewhere/">/x</a>', '<a href="http://elsewhere/">/x</a>'),
        ('<a href="/x?a=1&amp;b=2">', f'<a href="{P}/x?a=1&amp;b=2">'),
        ('<p title="/x"><script src="/s.js"></script>', f'<p title="/x"><script src="{P}/s.js"></script>'),
        ("1 < 2 and <a href=", "1 < 2 and <a href="),
    ],
)
def test_the_links_of_a_page_lead_through_the_proxy(page: str, expected: str) -> None:
    assert LINKS.page(page) == expected


@pytest.mark.parametrize("piece", ["<a ", "<a href=", "<a href='", '<a "', "<a" + " " * 50, "<", "'\""])
def test_a_hostile_page_takes_no_time(piece: str) -> None:
    page = piece * (200_000 // len(piece))
    started = time.process_time()
    LINKS.page(page)
    assert time.process_time() - started < 2


def test_the_websocket_handshake_is_the_standards() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert message(b"x", 2) == b"\x82\x01x"
    assert message(b"x" * 200, 1)[:4] == b"\x81\x7e\x00\xc8"
    assert message(b"x" * 70_000, 1)[:10] == b"\x81\x7f" + (70_000).to_bytes(8, "big")
