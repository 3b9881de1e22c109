"""HTTP to registries under one policy: which scheme, which CA, which redirects, how long.

What must stay true: plain HTTP only for loopback and configured insecure registries; `Authorization` goes to the host
it was made for and is dropped on a redirect to any other; a redirect never leads from https to http, nor to this
machine or its link-local neighbours (checked on the addresses really connected to), unless the registry itself is
there."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from nodeagent.images.errors import ImagePullError
from nodeagent.runtime import syscalls

log = logging.getLogger(__name__)

_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
USER_AGENT = "tiphys-nodeagent/0.1"


class TransportError(ImagePullError):
    """The registry could not be reached or the connection broke: trying again may help."""


class RefusedRequestError(ImagePullError):
    """Our policy forbids the request: trying again cannot help."""


@dataclass(frozen=True)
class RegistryConfig:
    """How to reach registries, by "host[:port]"."""

    insecure: frozenset[str] = frozenset()  # plain HTTP, or TLS without verification, is accepted
    ca_files: Mapping[str, Path] = field(default_factory=dict)  # besides the system's
    certs_dirs: tuple[Path, ...] = (Path("/etc/docker/certs.d"), Path("/etc/containers/certs.d"))  # HOST/*.crt
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # domain -> base URLs, asked first
    network: Path | None = None  # the network namespace to connect from, as a file; None: this one
    connect_timeout_seconds: float = 20
    read_timeout_seconds: float = 60  # without a byte


def socket_factory(network: Path) -> Callable[[Any], socket.socket]:
    """Sockets that belong to another network namespace: made by a thread that enters it and ends."""

    def make(address: Any) -> socket.socket:
        made: list[socket.socket] = []

        def body() -> None:
            with network.open("rb") as file:
                syscalls.setns(file.fileno(), syscalls.CLONE_NEWNET)
            made.append(socket.socket(address[0], address[1], address[2]))

        thread = threading.Thread(target=body, name="namespace")
        thread.start()
        thread.join()
        if not made:
            raise OSError(errno.ENETUNREACH, f"no network namespace at {network}")
        return made[0]

    return make


class GuardedResolver(AbstractResolver):
    """Resolves names, but to no address a stranger may not send us to."""

    def __init__(self) -> None:
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if any(forbidden_address(entry["host"]) for entry in found):
            raise OSError(errno.EACCES, f"redirect to forbidden address of {host}")
        return found

    async def close(self) -> None:
        await self._inner.close()


class Transport:
    def __init__(self, config: RegistryConfig) -> None:
        self.config = config
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._schemes: dict[str, str] = {}

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def base_url(self, host: str) -> URL:
        """`https://host`, or `http://host` where that is allowed and all the registry speaks."""
        if not (is_loopback(host) or host in self.config.insecure):
            return URL(f"https://{host}")
        if host not in self._schemes:
            try:
                async with self._send("GET", URL(f"https://{host}/v2/"), {}, guarded=False):
                    self._schemes[host] = "https"
            except aiohttp.ClientSSLError as error:
                # a certificate we do not trust is still TLS; anything else is a server that does not speak it
                tls = isinstance(error, aiohttp.ClientConnectorCertificateError)
                self._schemes[host] = "https" if tls else "http"
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ServerTimeoutError):
                return URL(f"http://{host}")  # down, or hung up on TLS: the request itself will tell
        return URL(f"{self._schemes[host]}://{host}")

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        data: Mapping[str, str] | None = None,
        redirects: bool = True,
        guarded: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One answer, redirects followed.  Raises TransportError, RefusedRequestError."""
        origin = url
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                async with self._send(method, url, sent, guarded=guarded, data=data) as response:
                    if response.status not in _REDIRECTS or not redirects:
                        yield response
                        return
                    target = self._redirect_target(url, response.headers.get("Location", ""))
                if _authority(target) != _authority(url):
                    sent.pop("Authorization", None)
                # a registry on this machine may send us to another port of it; nobody else may send us here
                guarded = _authority(target) != _authority(origin) and not is_loopback(origin.host or "")
                if guarded:
                    _check_literal(target)
                url = target
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransportError(describe(method, url, error), code=_code(error)) from None
        raise RefusedRequestError(f"{method.title()} {str(origin)!r}: stopped after {_MAX_REDIRECTS} redirects")

    def _redirect_target(self, url: URL, location: str) -> URL:
        try:
            target = url.join(URL(location))
        except ValueError:
            target = URL("")
        if not location or target.scheme not in ("http", "https") or not target.host or target.user:
            raise RefusedRequestError(f"{str(url)!r}: refused redirect to {location!r:.200}")
        if target.scheme == "http" and url.scheme == "https":
            raise RefusedRequestError(f"{str(url)!r}: refused redirect from https to http")
        return target

    @asynccontextmanager
    async def _send(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        *,
        guarded: bool,
        data: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if guarded:
            _check_literal(url)
        context = await self._context(_authority(url)) if url.scheme == "https" else True
        async with self._session(guarded).request(
            method, url, headers=headers, data=data, allow_redirects=False, ssl=context
        ) as response:
            yield response

    def _session(self, guarded: bool) -> aiohttp.ClientSession:
        if guarded not in self._sessions:
            timeout = aiohttp.ClientTimeout(
                total=None,
                sock_connect=self.config.connect_timeout_seconds,
                sock_read=self.config.read_timeout_seconds,
            )
            self._sessions[guarded] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,
                    resolver=GuardedResolver() if guarded else None,
                    socket_factory=socket_factory(self.config.network) if self.config.network else None,
                ),
                timeout=timeout,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=not guarded,
                read_bufsize=1 << 18,
                max_line_size=16384,
                max_field_size=16384,
            )
        return self._sessions[guarded]

    async def _context(self, host: str) -> ssl.SSLContext:
        if host not in self._contexts:
            self._contexts[host] = await asyncio.to_thread(self._make_context, host)
        return self._contexts[host]

    def _make_context(self, host: str) -> ssl.SSLContext:
        context = ssl.create_default_context()
        files = [self.config.ca_files[host]] if host in self.config.ca_files else []
        for directory in self.config.certs_dirs:
            files += sorted((directory / host).glob("*.crt"))
        for file in files:
            try:
                context.load_verify_locations(file)
            except (OSError, ssl.SSLError) as error:
                log.warning("registry CA file not readable", extra={"file": str(file), "error": str(error)})
        if host in self.config.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def is_loopback(host: str) -> bool:
    """Of "host[:port]": localhost, 127.0.0.0/8 or ::1, by name alone."""
    name = (
        host[1:].partition("]")[0] if host.startswith("[") else host if host.count(":") > 1 else host.partition(":")[0]
    )
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def forbidden_address(text: str) -> bool:
    """Addresses a redirect or a token realm may not lead to."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast


def _check_literal(url: URL) -> None:
    if forbidden_address(url.host or "") or is_loopback(url.host or ""):
        raise RefusedRequestError(f"refused request to forbidden address {url.host}")


def _authority(url: URL) -> str:
    """host[:port] as registries are named: the default port is left out."""
    host = f"[{url.host}]" if ":" in (url.host or "") else url.host or ""
    return host if url.is_default_port() else f"{host}:{url.port}"


def _code(error: BaseException) -> str:
    return "DeadlineExceeded" if isinstance(error, TimeoutError) else "Unknown"


def describe(method: str, url: URL, error: BaseException) -> str:
    """A connection failure as Go's HTTP client words it, which is what people search for."""
    return f'failed to do request: {method.title()} "{url.with_query(None)}": {_cause(url, error)}'


def _cause(url: URL, error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"tls: failed to verify certificate: x509: {_certificate_fault(error.certificate_error)}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {url.host}: no such host"
    if isinstance(error, aiohttp.ClientSSLError):
        return f"tls: {error.os_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        name = {errno.ECONNREFUSED: "connection refused", errno.EHOSTUNREACH: "no route to host"}
        cause = error.os_error
        text = name.get(cause.errno or 0, (cause.strerror or str(cause)).lower())
        return f"dial tcp {url.host}:{url.port}: connect: {text}"
    if isinstance(error, TimeoutError):
        return f"dial tcp {url.host}:{url.port}: i/o timeout"
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
        return "unexpected EOF"
    return str(error) or type(error).__name__


def _certificate_fault(error: BaseException) -> str:
    text = getattr(error, "verify_message", "") or str(error)
    if "self-signed" in text or "self signed" in text or "unable to get local issuer" in text:
        return "certificate signed by unknown authority"
    return text
