"""/openapi/v3 and /openapi/v2: the schemas, each document built on first use and kept as bytes.

What must stay true: a document's URL carries its hash, and with the right hash it may be cached for ever; after
`invalidate` nobody is given an older document, not even one whose building had begun before.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any

from apiserver.aggregator.controller import Aggregator
from apiserver.dispatch import no_such_path
from apiserver.encoding import dump
from apiserver.negotiation import JSON, parse_accept
from apiserver.request import Request, Response
from apiserver.requestinfo import first
from apiserver.version import GIT_VERSION
from tiphys.api import openapi
from tiphys.api.kinds import Registry
from tiphys.api.openapi_gnostic import encode_document
from tiphys.api.openapi_v2 import swagger
from tiphys.api.status import StatusError

_FOR_EVER = "public, immutable"
_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_V2_TYPES = {
    JSON: JSON,
    "application/*": JSON,
    "*/*": JSON,
    _V2_PROTOBUF: _V2_PROTOBUF,
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf": _V2_PROTOBUF,
    "application/com.github.proto-openapi.spec.v2.v1.1+protobuf": _V2_PROTOBUF,
    "application/com.github.proto-openapi.spec.v2@v1.1+protobuf": _V2_PROTOBUF,
}
_V3_TYPES = {JSON: JSON, "application/*": JSON, "*/*": JSON}


@dataclass(frozen=True, slots=True)
class Document:
    body: bytes
    digest: str
    media_type: str = JSON


class OpenApi:
    def __init__(self, registry: Registry, aggregator: Aggregator) -> None:
        self._registry = registry
        self._aggregator = aggregator
        self._documents: dict[str, Document] = {}
        self._building = asyncio.Lock()
        self._generation = 0

    def invalidate(self, group: str | None = None) -> None:
        """The kinds of a group (None: of any) have changed; the next request sees it."""
        self._generation += 1
        for name in list(self._documents):
            if group is None or name.startswith(("v2", f"apis/{group}/" if group else "api/")):
                del self._documents[name]

    async def handle(self, request: Request) -> Response:
        path = request.path.removeprefix("/openapi/")
        if path == "v2":
            wanted = _accepted(request, _V2_TYPES)
            return _answer(request, await self._document("v2" if wanted == JSON else "v2 protobuf"))
        _accepted(request, _V3_TYPES)
        if path == "v3":
            hashes = {name: (await self._document(name)).digest for name in self._names()}
            return _answer(request, _made(dump(openapi.index(hashes))))
        name = path.removeprefix("v3/")
        if name not in self._names():
            raise no_such_path()
        document = await self._document(name)
        asked = first(request.query, "hash")
        if asked and asked != document.digest:
            # The client's index is older than the kinds: send it where the document is now, as upstream does.
            location = f"/openapi/v3/{name}?hash={document.digest}"
            return Response(301, b"", headers={"Location": location, "Cache-Control": "no-cache, private"})
        return _answer(request, document, hashed=bool(asked))

    def _names(self) -> dict[str, tuple[str, str]]:
        """document path -> (group, version); an extension server's come last."""
        local = [(group, version) for group, versions in self._registry.groups().items() for version in versions]
        return {openapi.document_path(*one): one for one in [*local, *self._aggregator.openapi()]}

    async def _document(self, name: str) -> Document:
        async with self._building:
            while True:
                found = self._documents.get(name)
                if found is not None:
                    return found
                generation = self._generation
                # Building walks the whole schema: in a thread, so that other requests go on.
                made = await asyncio.to_thread(self._build, name)
                if generation == self._generation:
                    self._documents[name] = made
                    return made

    def _build(self, name: str) -> Document:
        if name == "v2":
            return _made(dump(self._swagger()))
        if name == "v2 protobuf":
            return _made(encode_document(self._swagger()), _V2_PROTOBUF)
        return _made(dump(self._v3(*self._names()[name])))

    def _v3(self, group: str, version: str) -> dict[str, Any]:
        elsewhere = self._aggregator.openapi().get((group, version))
        if elsewhere is not None:
            return elsewhere
        return openapi.document(self._registry, group, version, server_version=GIT_VERSION)

    def _swagger(self) -> dict[str, Any]:
        documents = (self._v3(group, version) for group, version in self._names().values())
        return swagger(documents, server_version=GIT_VERSION)


def _made(body: bytes, media_type: str = JSON) -> Document:
    return Document(body, hashlib.sha256(body).hexdigest().upper(), media_type)


def _accepted(request: Request, offered: dict[str, str]) -> str:
    """The media type to answer with.  Raises 406."""
    ranges = parse_accept(request.headers.get("Accept", ""))
    if not ranges:
        return JSON
    for one in ranges:
        if one.type in offered:
            return offered[one.type]
    names = ", ".join(dict.fromkeys(offered.values()))
    raise StatusError(406, "NotAcceptable", f"only the following media types are accepted: {names}", details={})


def _answer(request: Request, document: Document, *, hashed: bool = False) -> Response:
    etag = f'"{document.digest}"'
    headers = {"ETag": etag, "Vary": "Accept", "Cache-Control": _FOR_EVER if hashed else "no-cache, private"}
    if etag in request.headers.get("If-None-Match", ""):
        return Response(304, b"", document.media_type, headers)
    return Response(200, document.body, document.media_type, headers)
