"""Heads that have exactly one meaning, and those that are refused because they have two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.ingress.messages import (
    CHUNKED,
    UNTIL_CLOSE,
    Refused,
    host_of,
    parse_request,
    parse_response,
    request_head,
    response_head,
)

HOST = b"Host: a.example\r\n"


def head(*lines: bytes, first: bytes = b"GET /x?y=1 HTTP/1.1", host: bytes = HOST) -> bytes:
    return first + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


REFUSED = [
    (head(b"Content-Length: 4", b"Transfer-Encoding: chunked"), 400),
    (head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 501),
    (head(b"Transfer-Encoding: chunked, identity"), 501),
    (head(b"Transfer-Encoding: xchunked"), 501),
    (head(b"Transfer-Encoding : chunked"), 400),
    (head(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0"), 400),
    (head(b"Content-Length: 4", b"Content-Length: 5"), 400),
    (head(b"Content-Length: 4", b"Content-Length: 4"), 400),
    (head(b"Content-Length: 4, 4"), 400),
    (head(b"Content-Length: +4"), 400),
    (head(b"Content-Length: -1"), 400),
    (head(b"Content-Length: 0x4"), 400),
    (head(b"Content-Length: "), 400),
    (head(b"Content-Length: 9999999999999999999"), 400),
    (head(b"X: a\r\n folded"), 400),
    (head(b"X: a\nTransfer-Encoding: chunked"), 400),
    (head(b"X: a\rY: b"), 400),
    (head(b"X: a\x00b"), 400),
    (head(b": empty"), 400),
    (head(b"no colon"), 400),
    (head(b"Sp ace: 1"), 400),
    (head(HOST[:-2]), 400),
    (head(host=b""), 400),
    (head(host=b"Host: \r\n"), 400),
    (head(host=b"Host: a.example/x\r\n"), 400),
    (head(host=b"Host: a.example@b.example\r\n"), 400),
    (head(host=b"Host: a.example, b.example\r\n"), 400),
    (head(host=b"Host: a.example:99999999\r\n"), 400),
    (head(first=b"GET http://b.example/x HTTP/1.1"), 400),
    (head(first=b"GET x HTTP/1.1"), 400),
    (head(first=b"GET /x HTTP/1.1 HTTP/1.1"), 400),
    (head(first=b"GET  /x HTTP/1.1"), 400),
    (head(first=b"GET /x"), 400),
    (head(first=b"GET /x#y HTTP/1.1"), 400),
    (head(first=b"GET /x HTTP/1.2"), 400),
    (head(first=b"PRI * HTTP/2.0"), 505),
    (head(b"Expect: magic"), 417),
    (head(*[b"X: y"] * 101), 431),
]


@pytest.mark.parametrize(("data", "code"), REFUSED, ids=[repr(data[:60]) for data, _ in REFUSED])
def test_a_request_with_two_meanings_is_refused(data: bytes, code: int) -> None:
    with pytest.raises(Refused) as caught:
        parse_request(data)
    assert caught.value.code == code


def test_a_request_is_read_whole() -> None:
    request = parse_request(
        head(b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", host=b"host: A.Example.:81\r\n")
    )
    assert (request.method, request.path, request.query, request.host) == ("GET", "/x", "?y=1", "a.example")
    assert (request.authority, request.length, request.keep_alive) == ("A.Example.:81", 0, True)
    assert request.upgrade == b"websocket"
    absolute = parse_request(head(b"Connection: close", first=b"POST http://a.example/z HTTP/1.1"))
    assert (absolute.path, absolute.keep_alive) == ("/z", False)
    assert parse_request(head(b"transfer-encoding: Chunked")).length == CHUNKED
    assert not parse_request(head(first=b"GET / HTTP/1.0", host=b"")).keep_alive


@pytest.mark.parametrize("kind", [b"h2c", b"h2c, websocket", b"websocket, h2c"])
def test_an_upgrade_to_another_http_is_not_passed_on(kind: bytes) -> None:
    request = parse_request(head(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + kind, b"HTTP2-Settings: AAMA"))
    sent = request_head(request, "/x", ()).lower()
    assert b"upgrade" not in sent and b"http2-settings" not in sent


def test_what_a_client_says_of_itself_is_replaced_by_what_we_know() -> None:
    names = (b"X-Forwarded-For", b"x-forwarded-host", b"X_Forwarded_Proto", b"X-Forwarded-Client-Cert", b"Forwarded")
    lies = [name + b": evil" for name in (*names, b"X-Real-IP", b"Te", b"Keep-Alive", b"Proxy-Connection", b"X-Mine")]
    request = parse_request(
        head(*lies, b"Connection: x-mine, host, content-length", b"Content-Length: 3", b"X-Kept: yes")
    )
    sent = request_head(request, "/x", [(b"X-Forwarded-For", b"10.1.1.1")])
    lines = sent.decode().split("\r\n")
    assert lines[:2] == ["GET /x HTTP/1.1", "Host: a.example"]
    assert sorted(lines[2:-2]) == ["Content-Length: 3", "X-Forwarded-For: 10.1.1.1", "X-Kept: yes"]


def test_chunks_are_framed_by_us() -> None:
    sent = request_head(parse_request(head(b"Transfer-Encoding: chunked", b"Trailer: X")), "/", ())
    assert sent.count(b"Transfer-Encoding: chunked") == 1 and b"Trailer" not in sent


BAD_ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"ICY 200 OK\r\n\r\n",
]


@pytest.mark.parametrize("data", BAD_ANSWERS)
def test_an_answer_with_two_meanings_is_not_an_answer(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse_response(data)
    assert caught.value.code == 502


def test_an_answer_keeps_its_headers_but_those_between_neighbours() -> None:
    data = (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\n\r\n"
    )
    response = parse_response(data)
    assert (response.code, response.length, response.keep_alive) == (200, UNTIL_CLOSE, True)
    assert response_head(response, [b"A: 1"]) == b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nA: 1\r\n\r\n"
    assert parse_response(b"HTTP/1.1 204\r\n\r\n").reason == b""


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("A.b", "a.b"),
        ("a.b.", "a.b"),
        ("a.b:80", "a.b"),
        ("a.b.:80", "a.b"),
        ("[::1]", "[::1]"),
        ("[::1]:8", "[::1]"),
        ("", ""),
    ],
)
def test_a_host_is_routed_without_case_port_or_root(authority: str, host: str) -> None:
    assert host_of(authority) == host


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(noise: bytes) -> None:
    for data in (noise + b"\r\n\r\n", head(noise), b"GET /" + noise + b" HTTP/1.1\r\n" + HOST + b"\r\n"):
        try:
            request = parse_request(data)
        except Refused:
            continue
        sent = request_head(request, "/", ())
        assert sent.count(b"\r\n\r\n") == 1 and sent.lower().count(b"\r\nhost:") == 1
        assert b"\n" not in sent.replace(b"\r\n", b"")
