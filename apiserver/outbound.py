"""The one way out: HTTPS calls of the API server to webhooks and extension servers, by URL or by Service.

A Service means one of its ready endpoints, connected to directly: there need be no service network where this runs.
The certificate must be for `NAME.NAMESPACE.svc`, whatever the address.

What must stay true: no redirect is followed, no cookie kept, no proxy of the environment asked; what is connected to is
judged by its address at the moment of connecting (loopback, link-local, unspecified, multicast and their v6 spellings
are refused; upstream would call a URL on localhost, we do so only where `allow_loopback` says so); an answer is read to
a limit that counts decoded bytes; bodies appear in no log and no error.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import ssl
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from apiserver.resources import Resources
from apiserver.streaming.addresses import AddressNotAllowed, allowed, checked_socket

Obj = dict[str, Any]

CONNECT_SECONDS = 5.0
ANSWER_LIMIT_BYTES = 3 * 1024 * 1024
IDLE_SECONDS = 30.0  # how long a connection is kept for the next call
_ATTEMPTS = 3  # endpoints of a service that are tried
_CONTEXTS_KEPT = 256
_CHUNK_BYTES = 64 * 1024
_SERVICE_NAME = "kubernetes.io/service-name"


class OutboundError(Exception):
    """No usable answer came; the text says why, in Go's words where Go has some."""


@dataclass(frozen=True, slots=True)
class ServiceReference:
    namespace: str
    name: str
    port: int = 443  # the service's, not the endpoint's
    path: str = ""

    @property
    def server_name(self) -> str:
        return f"{self.name}.{self.namespace}.svc"

    @property
    def url(self) -> str:
        """What errors show; nobody resolves it."""
        return f"https://{self.server_name}:{self.port}{_rooted(self.path)}"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a call believes: `ca_bundle` is PEM (b"" means the system's); `insecure` believes anybody.

    `certificate` and `key`: files of our own client certificate, or None.
    """

    ca_bundle: bytes = b""
    certificate: Path | None = None
    key: Path | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Address:
    host: str  # an IP address; a name for an ExternalName service
    port: int


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes  # decoded


class Outbound:
    """`call` for one answer within limits, `open` for an answer the caller streams; `close` at the end."""

    def __init__(self, resources: Resources, *, allow_loopback: bool = False) -> None:
        self._resources = resources
        self._allow_loopback = allow_loopback
        self._session: aiohttp.ClientSession | None = None
        self._contexts: OrderedDict[Trust, ssl.SSLContext] = OrderedDict()

    async def call(
        self,
        target: str | ServiceReference,
        trust: Trust,
        *,
        body: bytes | None,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        query: str = "",
        timeout_seconds: float = 10.0,
        limit_bytes: int = ANSWER_LIMIT_BYTES,
    ) -> Answer:
        """The whole answer, whatever its status.  `query`: encoded, without "?".  Raises OutboundError."""
        shown = _shown(method, target, query)
        try:
            async with asyncio.timeout(timeout_seconds):
                found = await self.open(target, trust, body=body, method=method, headers=headers, query=query)
                try:
                    return Answer(found.status, dict(found.headers), await _read(found, limit_bytes))
                finally:
                    found.release()
        except TimeoutError:
            raise OutboundError(f"{shown}: context deadline exceeded") from None
        except (aiohttp.ClientError, OSError) as error:
            raise OutboundError(f"{shown}: {'unexpected EOF' if _is_cut(error) else _words(error)}") from None

    async def open(
        self,
        target: str | ServiceReference,
        trust: Trust,
        *,
        body: Any = None,
        method: str = "GET",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        query: str = "",
    ) -> aiohttp.ClientResponse:
        """The answer's head; its body is not read, not decoded, not limited, and the caller must release it.

        Only connecting has a time limit here.  Raises OutboundError.
        """
        shown = _shown(method, target, query)
        try:
            tls = self.context(trust)
            if isinstance(target, str):
                parsed = URL(target, encoded=True)
                if parsed.scheme != "https" or not parsed.host:
                    raise OutboundError("only https is called")
                url = f"{target}{'&' if '?' in target else '?'}{query}" if query else target
                return await self._send(url, None, tls, method, headers, body)
            return await self._send_to_service(target, tls, method, headers, body, query)
        except OutboundError as error:
            raise OutboundError(f"{shown}: {error}") from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise OutboundError(f"{shown}: {_words(error)}") from None

    def resolve(self, reference: ServiceReference) -> list[Address]:
        """Where a service's ready endpoints are now, in random order.  Raises OutboundError."""
        service = self._resources.peek("", "services", reference.namespace, reference.name)
        if service is None:
            raise OutboundError(f'service "{reference.name}" not found')
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            return [Address(spec.get("externalName", ""), reference.port)]
        port = next((one for one in spec.get("ports") or [] if one.get("port") == reference.port), None)
        if port is None:
            raise OutboundError(f'no service port {reference.port} found for service "{reference.name}"')
        store = self._resources.named("discovery.k8s.io", "endpointslices")
        slices = store.peek_all(reference.namespace) if store is not None else []
        own = [one for one in slices if one["metadata"].get("labels", {}).get(_SERVICE_NAME) == reference.name]
        found = ready_addresses(own, port.get("name", ""))
        if not found:
            raise OutboundError(f'no endpoints available for service "{reference.name}"')
        random.shuffle(found)
        return found

    def context(self, trust: Trust) -> ssl.SSLContext:
        """The TLS context for `trust`, made once.  Raises OutboundError for a bundle that is none."""
        known = self._contexts.get(trust)
        if known is None:
            try:
                known = _context(trust)
            except (ssl.SSLError, ValueError) as error:
                raise OutboundError("unable to load root certificates: unable to parse bytes as PEM block") from error
            self._contexts[trust] = known
            if len(self._contexts) > _CONTEXTS_KEPT:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(trust)
        return known

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _send_to_service(
        self,
        reference: ServiceReference,
        tls: ssl.SSLContext,
        method: str,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None,
        body: Any,
        query: str,
    ) -> aiohttp.ClientResponse:
        """To one endpoint after another until one takes the connection."""
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers or ())
        pairs = [pair for pair in pairs if pair[0].lower() != "host"]
        pairs.append(("Host", f"{reference.server_name}:{reference.port}"))
        tail = _rooted(reference.path) + (f"?{query}" if query else "")
        addresses = self.resolve(reference)[:_ATTEMPTS]
        for place, address in enumerate(addresses):
            host = f"[{address.host}]" if ":" in address.host else address.host
            url = f"https://{host}:{address.port}{tail}"
            try:
                return await self._send(url, reference.server_name, tls, method, pairs, body)
            except aiohttp.ClientConnectorError as error:
                if place == len(addresses) - 1 or isinstance(error, aiohttp.ClientSSLError):
                    raise
        raise AssertionError("unreachable")

    async def _send(
        self,
        url: str,
        server_name: str | None,
        tls: ssl.SSLContext,
        method: str,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None,
        body: Any,
    ) -> aiohttp.ClientResponse:
        return await self._client().request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=body,
            ssl=tls,
            server_hostname=server_name,
            allow_redirects=False,
        )

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            factory = self._socket if self._allow_loopback else checked_socket
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=IDLE_SECONDS, socket_factory=factory, use_dns_cache=False
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
                auto_decompress=False,
                trust_env=False,
                max_line_size=32 << 10,
                max_field_size=32 << 10,
            )
        return self._session

    @staticmethod
    def _socket(address: Any) -> socket.socket:
        """As `checked_socket`, but this machine's own loopback addresses may be called."""
        family, kind, protocol, _, where = address
        if not allowed(where[0]) and where[0] not in ("127.0.0.1", "::1"):
            raise AddressNotAllowed(f"address not allowed: {where[0]}")
        return socket.socket(family, kind, protocol)


def ready_addresses(slices: Sequence[Obj], port_name: str) -> list[Address]:
    """The ready addresses of EndpointSlices at the port of that name; the slices of one service are given."""
    return [
        Address(ip, port["port"])
        for one in slices
        for port in one.get("ports") or []
        if port.get("name", "") == port_name and port.get("port")
        for endpoint in one.get("endpoints") or []
        if endpoint.get("conditions", {}).get("ready", True)
        for ip in endpoint.get("addresses", [])[:1]
    ]


def _context(trust: Trust) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if trust.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif trust.ca_bundle:
        context.load_verify_locations(cadata=trust.ca_bundle.decode("ascii"))
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if trust.certificate is not None:
        context.load_cert_chain(trust.certificate, trust.key)
    return context


async def _read(answer: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    """The decoded body.  Raises OutboundError beyond the limit; what is beyond it is never inflated."""
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "deflate"):
        answer.close()
        raise OutboundError("the answer has an encoding that was not asked for")
    inflate = zlib.decompressobj(wbits=47) if encoding in ("gzip", "deflate") else None
    body = bytearray()
    try:
        async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
            body += chunk if inflate is None else inflate.decompress(chunk, limit_bytes - len(body) + 1)
            if len(body) > limit_bytes:
                answer.close()  # not released: the rest is nobody's answer
                raise OutboundError(f"the response body is too large: limit is {limit_bytes} bytes")
    except zlib.error:
        answer.close()
        raise OutboundError("the response body is not valid gzip") from None
    return bytes(body)


def _rooted(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


def _shown(method: str, target: str | ServiceReference, query: str) -> str:
    """How an error names the call: Go's `Post "https://..."`."""
    url = target if isinstance(target, str) else target.url
    return f'{method.capitalize()} "{url}{f"?{query}" if query else ""}"'


def _is_cut(error: BaseException) -> bool:
    return isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError)


def _words(error: BaseException) -> str:
    """Why there is no answer, without our library's internals."""
    refused = _cause(error)
    if refused is not None:
        return str(refused)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"tls: failed to verify certificate: x509: {_certificate_words(error)}"
    if isinstance(error, aiohttp.ClientSSLError):
        return "tls: the handshake failed"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {error.host}: no such host"
    if isinstance(error, aiohttp.ClientConnectorError):
        code = error.os_error.errno
        text = os.strerror(code).lower() if code else "connection failed"
        return f"dial tcp {error.host}:{error.port}: connect: {text}"
    if isinstance(error, aiohttp.InvalidURL):
        return "invalid URL"
    if isinstance(error, TimeoutError):
        return "dial tcp: i/o timeout"
    return "EOF" if isinstance(error, aiohttp.ClientError | OSError) else "the target cannot be called"


def _certificate_words(error: aiohttp.ClientConnectorCertificateError) -> str:
    found = error.certificate_error
    reason = str(getattr(found, "verify_message", "") or found)
    if "mismatch" in reason:
        return f"certificate is valid for other names, not {error.host}"
    if "expired" in reason or "not yet valid" in reason:
        return "certificate has expired or is not yet valid"
    return "certificate signed by unknown authority"


def _cause(error: BaseException | None) -> AddressNotAllowed | None:
    while error is not None:
        if isinstance(error, AddressNotAllowed):
            return error
        inner = getattr(error, "os_error", None)
        if isinstance(inner, AddressNotAllowed):
            return inner
        error = error.__cause__ or error.__context__
    return None
