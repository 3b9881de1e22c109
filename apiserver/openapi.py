"""/openapi/v3 and /openapi/v2: the schemas, each document built on first use and kept as bytes.

What must stay true: a document's URL carries its hash, and with the hash it may be cached for ever.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from apiserver.dispatch import no_such_path
from apiserver.encoding import dump
from apiserver.request import Request, Response
from apiserver.requestinfo import first
from apiserver.version import GIT_VERSION
from tiphys.api import openapi
from tiphys.api.kinds import Registry

_FOR_EVER = "public, immutable"


class OpenApi:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._documents: dict[str, tuple[bytes, str]] = {}
        self._building = asyncio.Lock()

    def invalidate(self) -> None:
        self._documents.clear()

    async def handle(self, request: Request) -> Response:
        path = request.path.removeprefix("/openapi/")
        if path == "v2":
            return _answer(request, *await self._document("v2"), hashed=False)
        if path == "v3":
            hashes = {name: (await self._document(name))[1] for name in self._names()}
            body = dump(openapi.index(hashes))
            return _answer(request, body, hashlib.sha256(body).hexdigest().upper(), hashed=False)
        name = path.removeprefix("v3/")
        if name not in self._names():
            raise no_such_path()
        body, digest = await self._document(name)
        return _answer(request, body, digest, hashed=first(request.query, "hash") == digest)

    def _names(self) -> dict[str, tuple[str, str]]:
        """document path -> (group, version)."""
        return {
            openapi.document_path(group, version): (group, version)
            for group, versions in self._registry.groups().items()
            for version in versions
        }

    async def _document(self, name: str) -> tuple[bytes, str]:
        async with self._building:
            found = self._documents.get(name)
            if found is None:
                # Building walks the whole schema: in a thread, so that other requests go on.
                body = await asyncio.to_thread(self._build, name)
                found = self._documents[name] = body, hashlib.sha256(body).hexdigest().upper()
            return found

    def _build(self, name: str) -> bytes:
        if name == "v2":
            return dump(self._swagger())
        group, version = self._names()[name]
        return dump(openapi.document(self._registry, group, version, server_version=GIT_VERSION))

    def _swagger(self) -> dict[str, Any]:
        """OpenAPI v2, as far as it follows from v3: the definitions with their references renamed."""
        definitions: dict[str, Any] = {}
        for group, version in self._names().values():
            document = openapi.document(self._registry, group, version, server_version=GIT_VERSION)
            definitions |= document["components"]["schemas"]
        info = {"title": "Kubernetes", "version": GIT_VERSION}
        return {"swagger": "2.0", "info": info, "paths": {}, "definitions": _renamed(definitions)}


def _renamed(value: Any) -> Any:
    """v3 references as v2 ones; a v3 `allOf` around one reference is that reference."""
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    only = value.get("allOf")
    if isinstance(only, list) and len(only) == 1 and "$ref" in only[0]:
        rest = {key: item for key, item in value.items() if key not in ("allOf", "default")}
        return {**_renamed(rest), **_renamed(only[0])}
    if isinstance(value.get("$ref"), str):
        return {**value, "$ref": value["$ref"].replace("#/components/schemas/", "#/definitions/")}
    return {key: _renamed(item) for key, item in value.items()}


def _answer(request: Request, body: bytes, digest: str, *, hashed: bool) -> Response:
    etag = f'"{digest}"'
    headers = {"ETag": etag, "Vary": "Accept", "Cache-Control": _FOR_EVER if hashed else "no-cache, private"}
    if etag in request.headers.get("If-None-Match", ""):
        return Response(304, b"", headers=headers)
    return Response(200, body, headers=headers)
