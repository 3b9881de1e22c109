"""/api, /apis and below: what is served, in the aggregated and in the legacy form.

What must stay true: the answer's Content-Type echoes the form that was asked for (clients decide by it), and an ETag is
the hash of the bytes, so clients ask again without being sent the same again.
"""

from __future__ import annotations

import hashlib

from apiserver.aggregator.controller import Aggregator
from apiserver.dispatch import no_such_path
from apiserver.encoding import dump
from apiserver.negotiation import JSON, parse_accept
from apiserver.request import Request, Response
from tiphys.api import discovery
from tiphys.api.kinds import Registry

_AGGREGATED = ("v2", "v2beta1")


class Discovery:
    def __init__(self, registry: Registry, server_address: str, aggregator: Aggregator) -> None:
        self._registry = registry
        self._aggregator = aggregator
        self._server_address = server_address
        self._documents: dict[tuple[str, str], tuple[bytes, str]] = {}

    def invalidate(self) -> None:
        """The registry has changed (a custom resource came or went)."""
        self._documents.clear()

    async def handle(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")
        version = _aggregated_version(request.headers.get("Accept", "")) if len(parts) == 1 else ""
        body, etag = self._document(request.path, parts, version)
        content_type = JSON
        if version:
            content_type = f"{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        headers = {"ETag": etag, "Vary": "Accept", "Cache-Control": "public"} if version else {}
        if version and etag in request.headers.get("If-None-Match", ""):
            return Response(304, b"", content_type, headers)
        return Response(200, body, content_type, headers)

    def _document(self, path: str, parts: list[str], version: str) -> tuple[bytes, str]:
        key = (path, version)
        found = self._documents.get(key)
        if found is None:
            body = dump(self._build(parts, version))
            found = self._documents[key] = body, f'"{hashlib.sha256(body).hexdigest().upper()}"'
        return found

    def _build(self, parts: list[str], version: str) -> dict[str, object]:
        registry = self._registry
        order = self._aggregator.order(registry.groups())
        document: dict[str, object] | None
        if parts == ["api"]:
            document = (
                discovery.aggregated_core(registry) if version else discovery.legacy_core_versions(self._server_address)
            )
        elif parts == ["apis"]:
            elsewhere = self._aggregator.listed
            document = (
                discovery.aggregated_groups(registry, order, elsewhere) if version else discovery.legacy_groups(order)
            )
        elif len(parts) == 2 and parts[0] == "api":
            document = discovery.legacy_resources(registry, "", parts[1])
        elif len(parts) == 2:
            document = discovery.legacy_group(order, parts[1])
        else:
            document = discovery.legacy_resources(registry, parts[1], parts[2])
        if document is None:
            raise no_such_path()
        if version:
            document["apiVersion"] = f"apidiscovery.k8s.io/{version}"
        return document


def _aggregated_version(accept: str) -> str:
    """The version of the aggregated form the client prefers, "" for the legacy form."""
    for one in parse_accept(accept):
        if one.get("as") == "APIGroupDiscoveryList" and one.get("g") == "apidiscovery.k8s.io":
            if one.type == JSON and one.get("v") in _AGGREGATED:
                return one.get("v")
        elif one.type in (JSON, "*/*", "application/*"):
            return ""
    return ""
