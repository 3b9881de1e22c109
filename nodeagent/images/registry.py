"""One repository of one registry, read: what a tag means, manifests by digest, blobs into an ingest.

Speaks the OCI distribution protocol (Docker Registry HTTP API v2).  What must stay true: a manifest is believed only
when its bytes have the digest asked for; a blob is resumed only at the byte that was asked for; mirrors get no
credential meant for the registry they mirror."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from yarl import URL

from nodeagent.images.auth import authorize, parse_challenges
from nodeagent.images.content import Ingest, digest_of
from nodeagent.images.credentials import Credential, matching
from nodeagent.images.errors import AccessDeniedError, HostileContentError, ImagePullError, NotFoundError
from nodeagent.images.manifest import ACCEPT, INDEXES, MANIFESTS, MAX_MANIFEST_BYTES, Descriptor
from nodeagent.images.reference import Reference, is_digest
from nodeagent.images.transport import Transport, TransportError

_DENIED = "pull access denied, repository does not exist or may require authorization"
_CHUNK = 1 << 20
_IDLE_ATTEMPTS = 4  # in a row that brought no byte
_ERROR_BODY_BYTES = 4096
T = TypeVar("T")


@dataclass
class _Endpoint:
    base: URL  # scheme://host[/prefix]/v2/<path>
    host: str
    credential: Credential | None
    authorization: str | None = None


class Repository:
    """Use for one pull: it holds the tokens of that pull."""

    def __init__(
        self,
        transport: Transport,
        reference: Reference,
        credential: Credential | None = None,
        credentials: Sequence[Credential] = (),
    ) -> None:
        """`credential` is for the registry itself; of `credentials`, what matches a mirror's own name goes to it."""
        self.transport = transport
        self.reference = reference
        self.credential = credential
        self.credentials = credentials
        self._known: list[_Endpoint] = []

    async def resolve(self) -> Descriptor:
        """What the reference means now: media type, digest and size of its manifest or index."""
        return await self._first(self._resolve_at)

    async def manifest(self, digest: str) -> tuple[bytes, str]:
        """(body, Content-Type), verified.  Raises NotFoundError, HostileContentError, TransportError."""
        return await self._first(lambda endpoint: self._manifest_at(endpoint, digest))

    async def fetch(self, descriptor: Descriptor, ingest: Ingest, progress: Callable[[int], None]) -> None:
        """Fill `ingest` (from where it stands) and commit it.  `progress` is told the bytes that are there."""
        await self._first(lambda endpoint: self._fetch_at(endpoint, descriptor, ingest, progress))

    # -- mirrors, then the registry -----------------------------------------------------------------------------

    async def _first(self, ask: Callable[[_Endpoint], Awaitable[T]]) -> T:
        endpoints = list(await self._endpoints())
        for endpoint in endpoints[:-1]:
            try:
                return await ask(endpoint)
            except TransportError:
                with suppress(ValueError):  # another request may have done so
                    self._known.remove(endpoint)  # down: not asked again in this pull
            except ImagePullError:
                continue  # a mirror may lack, refuse or garble anything; the registry itself decides
        return await ask(endpoints[-1])

    async def _endpoints(self) -> list[_Endpoint]:
        if not self._known:
            domain, path = self.reference.domain, self.reference.path
            for mirror in self.transport.config.mirrors.get(domain, ()):
                url = URL(mirror)
                host = url.authority
                found = matching(self.credentials, Reference(host, path))
                base = url / "v2" / path if not url.path.rstrip("/").endswith("/v2") else url / path
                self._known.append(_Endpoint(base, host, found[0] if found else None))
            host = "registry-1.docker.io" if domain == "docker.io" else domain
            base = await self.transport.base_url(host) / "v2" / path
            self._known.append(_Endpoint(base, host, self.credential))
        return self._known

    # -- requests -----------------------------------------------------------------------------------------------

    async def _resolve_at(self, endpoint: _Endpoint) -> Descriptor:
        wanted = self.reference.target
        try:
            async with self._request("HEAD", endpoint, f"manifests/{wanted}", {"Accept": ACCEPT}) as response:
                digest = self.reference.digest or response.headers.get("Docker-Content-Digest", "")
                media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                size = response.content_length or 0
        except NotFoundError:
            raise NotFoundError(f"{self.reference}: not found", code="NotFound") from None
        if is_digest(digest) and media_type in INDEXES | MANIFESTS and size <= MAX_MANIFEST_BYTES:
            return Descriptor(media_type, digest, size)
        body, media_type = await self._manifest_at(endpoint, wanted)  # a registry that says little about HEAD
        return Descriptor(media_type, digest_of(body), len(body))

    async def _manifest_at(self, endpoint: _Endpoint, target: str) -> tuple[bytes, str]:
        try:
            async with self._request("GET", endpoint, f"manifests/{target}", {"Accept": ACCEPT}) as response:
                body = await _read_limited(response, MAX_MANIFEST_BYTES, f"manifest {target}")
                content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        except NotFoundError:
            raise NotFoundError(
                f"content at {endpoint.base / 'manifests' / target} not found: not found", code="NotFound"
            ) from None
        if is_digest(target) and digest_of(body) != target:
            raise HostileContentError(
                f"unexpected commit digest {digest_of(body)}, expected {target}: failed precondition",
                code="FailedPrecondition",
            )
        return body, content_type

    async def _fetch_at(
        self, endpoint: _Endpoint, descriptor: Descriptor, ingest: Ingest, progress: Callable[[int], None]
    ) -> None:
        idle = 0
        while ingest.offset < descriptor.size or descriptor.size == 0:
            before = ingest.offset
            problem: TransportError | None = None
            try:
                await self._fetch_once(endpoint, descriptor, ingest, progress)
            except TransportError as error:
                problem = error
            if ingest.offset == descriptor.size:
                break
            idle = 0 if ingest.offset > before else idle + 1
            if idle == _IDLE_ATTEMPTS:
                if problem is not None:
                    raise problem
                break  # the registry's whole answer is too short: commit says so
            await asyncio.sleep(0.1 * 2**idle)
        await asyncio.to_thread(ingest.commit)

    async def _fetch_once(
        self, endpoint: _Endpoint, descriptor: Descriptor, ingest: Ingest, progress: Callable[[int], None]
    ) -> None:
        headers = {"Range": f"bytes={ingest.offset}-"} if ingest.offset else {}
        suffix = f"blobs/{descriptor.digest}"
        async with self._request("GET", endpoint, suffix, headers, also=(416,)) as response:
            if ingest.offset and not _continues(response, ingest.offset):
                ingest.restart()
                if response.status != 200:
                    return
            pieces: list[bytes] = []
            held = 0
            try:
                async for piece in response.content.iter_any():
                    pieces.append(piece)
                    held += len(piece)
                    if held >= _CHUNK:
                        await _keep(ingest, pieces)
                        pieces, held = [], 0
                        progress(ingest.offset)
            finally:
                if pieces:  # also of an answer that broke off: the next attempt goes on from there
                    await _keep(ingest, pieces)
                    progress(ingest.offset)

    @asynccontextmanager
    async def _request(
        self, method: str, endpoint: _Endpoint, suffix: str, headers: Mapping[str, str], also: tuple[int, ...] = ()
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer of 2xx, or of a status in `also`; a challenge is answered once."""
        url = endpoint.base / suffix
        for last in (False, True):
            sent = dict(headers)
            if endpoint.authorization:
                sent["Authorization"] = endpoint.authorization
            async with self.transport.request(method, url, headers=sent) as response:
                ours = response.url.origin() == url.origin()
                if response.status != 401 or last or not ours:
                    await _check_status(method, response, also, str(self.reference))
                    yield response
                    return
                challenges = parse_challenges(response.headers.getall("WWW-Authenticate", []))
            endpoint.authorization = await authorize(
                self.transport, endpoint.base, self.reference.path, challenges, endpoint.credential
            )
            if endpoint.authorization is None:
                raise AccessDeniedError(f"{_DENIED}: server message: insufficient_scope: authorization failed")


async def _keep(ingest: Ingest, pieces: list[bytes]) -> None:
    """Hash and write in a thread: the event loop also serves probes."""
    try:
        await asyncio.to_thread(ingest.write, b"".join(pieces))
    except OSError as error:
        raise ImagePullError(f"write {ingest.digest}: {os.strerror(error.errno or 0).lower()}") from None


def _continues(response: aiohttp.ClientResponse, offset: int) -> bool:
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")


async def _read_limited(response: aiohttp.ClientResponse, limit_bytes: int, what: str) -> bytes:
    body = b""
    if (response.content_length or 0) <= limit_bytes:
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > limit_bytes:
                break
        else:
            return body
    raise HostileContentError(f"{what} is longer than {limit_bytes} bytes")


async def _check_status(method: str, response: aiohttp.ClientResponse, also: tuple[int, ...], reference: str) -> None:
    status = response.status
    if 200 <= status < 300 or status in also:
        return
    if status == 404:
        raise NotFoundError(f"{reference}: not found", code="NotFound")
    detail = ""
    if method != "HEAD":
        text = (await response.content.read(_ERROR_BODY_BYTES)).decode(errors="replace")
        words = " ".join(text.split())[:300]
        detail = f": {words}" if words else ""
    if status in (401, 403):
        raise AccessDeniedError(f"{_DENIED}: server message: insufficient_scope: authorization failed{detail}")
    url = response.url.with_query(None)
    message = f"unexpected status from {method} request to {url}: {status} {response.reason}{detail}"
    raise TransportError(message) if status == 429 or status >= 500 else ImagePullError(message)
