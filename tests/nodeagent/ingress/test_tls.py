"""Certificates by SNI, seen with openssl and with aiohttp; taken into use while connections go on."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator

import pytest
from cryptography import x509

from nodeagent.ingress.certificates import OWN_NAME
from tests.nodeagent.ingress.serving import LOOPBACK, World, certificate, secret, world

WEB, WILD = ("default", "web"), ("default", "wild")


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        for host in ("a.example", "b.wild.example", "plain.example"):
            made.routed(await made.says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), host=host)
        made.serving.backends.retain(())
        made.serving.table.certificates.update({"a.example": WEB, "*.wild.example": WILD})
        made.serving.certificates.update(
            {
                WEB: secret("web", "1", *certificate("a.example")),
                WILD: secret("wild", "1", *certificate("*.wild.example")),
            }
        )
        yield made


async def shown(here: World, name: str) -> str:
    """The subject of the certificate that `openssl s_client` is shown."""
    words = ["openssl", "s_client", "-connect", f"{LOOPBACK}:{here.listener.https_port}"]
    words += ["-servername", name] if name else ["-noservername"]
    done = await asyncio.to_thread(subprocess.run, words, input=b"", capture_output=True, timeout=20)
    text = done.stdout.decode()
    return text.partition("subject=")[2].partition("\n")[0].replace(" ", "").removeprefix("CN=")


async def connect(here: World, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return await asyncio.open_connection(LOOPBACK, here.listener.https_port, ssl=context, server_hostname=name)


async def code(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> int:
    writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))
    return int(head[9:12])


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("a.example", "a.example"),
        ("A.Example", "a.example"),
        ("b.wild.example", "*.wild.example"),
        ("x.b.wild.example", OWN_NAME),
        ("plain.example", OWN_NAME),
        ("", OWN_NAME),
    ],
)
async def test_the_name_asked_for_chooses_the_certificate(here: World, name: str, subject: str) -> None:
    assert await shown(here, name) == subject.replace(" ", "")


async def test_a_new_certificate_is_shown_at_once_and_old_connections_go_on(here: World) -> None:
    reader, writer = await connect(here, "a.example")
    assert await code(reader, writer, "a.example") == 200
    here.serving.certificates.update({WEB: secret("web", "2", *certificate("renewed"))})
    assert await shown(here, "a.example") == "renewed"
    assert await code(reader, writer, "a.example") == 200
    writer.transport.abort()


async def test_a_secret_that_cannot_be_used_leaves_the_last_good_one(here: World) -> None:
    crt, _ = certificate("other")
    _, key = certificate("another")
    for version, (bad_crt, bad_key) in enumerate([(b"", b""), (crt, b"nonsense"), (crt, key)], 5):
        here.serving.certificates.update({WEB: secret("web", str(version), bad_crt, bad_key)})
        assert await shown(here, "a.example") == "a.example"
    here.serving.certificates.update({WEB: None})
    assert await shown(here, "a.example") == OWN_NAME.replace(" ", "")


async def test_a_connection_made_for_one_host_is_not_used_for_another(here: World) -> None:
    for name, host, expected in (
        ("a.example", "a.example", 200),
        ("a.example", "b.wild.example", 421),
        ("a.example", "plain.example", 421),
        ("plain.example", "plain.example", 200),
        ("plain.example", "a.example", 421),
    ):
        reader, writer = await connect(here, name)
        assert await code(reader, writer, host) == expected, (name, host)
        writer.transport.abort()


async def test_old_tls_and_plain_text_are_refused(here: World) -> None:
    port = str(here.listener.https_port)
    for version, works in (("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
        words = ["openssl", "s_client", version, "-cipher", "ALL:@SECLEVEL=0", "-connect", f"{LOOPBACK}:{port}"]
        done = await asyncio.to_thread(subprocess.run, words, input=b"", capture_output=True, timeout=20)
        assert (b"BEGIN CERTIFICATE" in done.stdout) == works, version
    reader, writer = await asyncio.open_connection(LOOPBACK, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
    async with asyncio.timeout(20):
        assert not (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.transport.abort()


async def test_the_built_in_certificate_is_no_authority(here: World) -> None:
    pem = await asyncio.to_thread(ssl.get_server_certificate, (LOOPBACK, here.listener.https_port))
    assert x509.load_pem_x509_certificate(pem.encode()).issuer.rfc4514_string() == f"CN={OWN_NAME}"
