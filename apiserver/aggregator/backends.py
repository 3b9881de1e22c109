"""Asking an extension server about itself: its discovery, which is also the check that it is there, and its OpenAPI.

What must stay true: an answer is read to a limit, a redirect is an answer like any other, and whatever is wrong is an
error of that server, never of ours.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from apiserver.aggregator.apiservices import Entry
from apiserver.aggregator.documents import BadDocument, check_publishable, read_index, read_openapi_v3, read_resources
from apiserver.aggregator.frontproxy import identity_headers
from apiserver.outbound import Answer, Outbound, OutboundError, ServiceReference, Trust
from apiserver.request import User
from tiphys.pki import FRONT_PROXY

ASK_SECONDS = 5.0  # upstream's for the check
DOCUMENT_SECONDS = 30.0
DOCUMENT_LIMIT_BYTES = 32 * 1024 * 1024
_ATTEMPTS = 2
_SELF = User("system:kube-aggregator", ("system:masters",))


class Unanswered(Exception):
    """The check failed; the text is the condition's message."""


@dataclass(frozen=True, slots=True)
class OpenApiDocument:
    """A group version's OpenAPI v3 document; `url` carries its hash where the server knows how."""

    url: str
    document: dict[str, Any]


class Backends:
    def __init__(self, outbound: Outbound, pki_dir: Path) -> None:
        self.outbound = outbound
        self._certificate = pki_dir / f"{FRONT_PROXY.file}.crt"
        self._key = pki_dir / f"{FRONT_PROXY.file}.key"

    def trust(self, entry: Entry) -> Trust:
        return Trust(entry.ca_bundle, self._certificate, self._key, entry.insecure)

    async def resources(self, entry: Entry) -> list[dict[str, Any]]:
        """The discovery entries of its group version.  Raises Unanswered."""
        url, last = "", ""
        for _ in range(_ATTEMPTS):
            try:
                service = self._at(entry, f"/apis/{entry.group}/{entry.version}")
                url = service.url
                answer = await self._get(service, entry, ASK_SECONDS)
            except OutboundError as error:
                last = f"failing or missing response from {url}: {error}"
                continue
            if not 200 <= answer.status < 300:
                last = f"failing or missing response from {url}: bad status from {url}: {answer.status}"
                continue
            try:
                return read_resources(_json(answer), entry.group, entry.version)
            except BadDocument as error:
                last = f"failing or missing response from {url}: {error}"
        raise Unanswered(last)

    async def openapi(self, entry: Entry, known: OpenApiDocument | None) -> OpenApiDocument | None:
        """Its OpenAPI document, `known` where that is still it, None where it has none.

        Raises OutboundError, BadDocument."""
        answer = await self._get(self._at(entry, "/openapi/v3"), entry, DOCUMENT_SECONDS)
        if answer.status != 200:
            return None
        url = read_index(_json(answer), entry.group, entry.version)
        if not url:
            return None
        if known is not None and known.url == url and "hash=" in url:
            return known
        path, _, query = url.partition("?")
        answer = await self._get(self._at(entry, path), entry, DOCUMENT_SECONDS, query)
        if answer.status != 200:
            raise BadDocument(f"{path}: {answer.status}")
        document = read_openapi_v3(_json(answer), entry.group, entry.version)
        if known is not None and known.document == document:
            return known
        await asyncio.to_thread(check_publishable, document)
        return OpenApiDocument(url, document)

    async def _get(self, service: ServiceReference, entry: Entry, seconds: float, query: str = "") -> Answer:
        return await self.outbound.call(
            service,
            self.trust(entry),
            body=None,
            method="GET",
            headers={"Accept": "application/json", **dict(identity_headers(_SELF))},
            query=query,
            timeout_seconds=seconds,
            limit_bytes=DOCUMENT_LIMIT_BYTES,
        )

    @staticmethod
    def _at(entry: Entry, path: str) -> ServiceReference:
        assert entry.service is not None
        return replace(entry.service, path=path)


def _json(answer: Answer) -> Any:
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise BadDocument("the answer is no JSON") from None
