"""list: a page of objects at one revision, the stored bytes joined.

What must stay true: all pages of one list are the state at the first page's revision, or the answer is 410; without
resourceVersion a list includes every write acknowledged before the request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson

from apiserver.encoding import dump, object_response
from apiserver.negotiation import JSON, PROTOBUF, Accepted, negotiate
from apiserver.protobuf import encode_list, speaks
from apiserver.request import Request, Response, StreamingResponse
from apiserver.requestinfo import first, integer
from apiserver.storage.resourcecache import Listing
from apiserver.verbs import Scope
from apiserver.verbs.continuation import INCONSISTENT, decode_token, encode_token
from apiserver.verbs.freshness import Freshness, list_freshness, translate
from apiserver.verbs.render import in_version, include_object
from apiserver.verbs.selection import selection
from tiphys.api.status import StatusError, bad_request
from tiphys.api.table import build_table, partial_metadata

STREAM_FROM_BYTES = 4 * 1024 * 1024
_PIECE_BYTES = 256 * 1024


async def list_objects(request: Request, scope: Scope) -> Response | StreamingResponse:
    accepted = negotiate(request.headers.get("Accept", ""))
    listing = await find(request, scope)
    metadata = _metadata(request, listing, scope)
    if listing.damaged:
        names = ", ".join(key.removeprefix(scope.store.prefix) for key in listing.damaged[:10])
        request.warn(f"{len(listing.damaged)} stored {scope.info.plural} cannot be read and are left out: {names}")
    if accepted.media_type == PROTOBUF and speaks(scope.info):
        return Response(200, await encode_list(scope.info, metadata, listing.items), PROTOBUF)
    if not accepted.transform and accepted.media_type in (JSON, PROTOBUF):
        head = dump({"kind": scope.info.list_kind, "apiVersion": scope.info.api_version, "metadata": metadata})
        if sum(len(item.data) for item in listing.items) > STREAM_FROM_BYTES:
            return StreamingResponse(_pieces(head, listing), finite=True)
        return Response(200, listing.joined(head[:-1] + b',"items":[', b"]}"))
    objects = [orjson.loads(item.data) for item in listing.items]
    return _transformed(request, scope, accepted, objects, metadata)


async def _pieces(head: bytes, listing: Listing) -> AsyncIterator[bytes]:
    """A large list bit by bit: every client that lists at the same time costs a piece, not a copy of the whole."""
    waiting, size = [b'%b,"items":[' % head[:-1]], 0
    last = len(listing.items) - 1
    for number, item in enumerate(listing.items):
        waiting += (item.data, b"," if number < last else b"]}")
        size += len(item.data)
        if size >= _PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


async def find(request: Request, scope: Scope) -> Listing:
    """The page a request asks for.  Raises 400, 410, 422, 504."""
    query = request.query
    freshness = list_freshness(query)
    namespace = request.info.namespace if scope.info.namespaced else ""
    view = selection(query, scope.info, namespace, request.info.name)
    start, limit, token = "", max(0, integer(query, "limit") or 0), first(query, "continue")
    if token:
        if first(query, "resourceVersion") not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        position = decode_token(token, scope.store.prefix)
        start = position.start
        consistent = position.revision != INCONSISTENT
        freshness = Freshness(position.revision if consistent else None, exact=consistent)
    try:
        with translate(scope.info, continues=bool(token)):
            return await scope.store.cache.list(
                scope.store.prefix, view, revision=freshness.revision, exact=freshness.exact, start=start, limit=limit
            )
    except StatusError as error:
        if token and error.code == 410:
            error.details = {}
            raise _with_fresh_token(error, start, scope.store.prefix) from None
        raise


def _with_fresh_token(error: StatusError, start: str, prefix: str) -> StatusError:
    """The 410 of a continued list carries a token with which the caller may go on, inconsistently."""
    return ExpiredContinue(error, encode_token(start, INCONSISTENT, prefix))


class ExpiredContinue(StatusError):
    """A 410 whose Status has `metadata.continue`."""

    def __init__(self, error: StatusError, token: str) -> None:
        super().__init__(error.code, error.reason, error.message)
        self._token = token

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "metadata": {"continue": self._token}}


def _metadata(request: Request, listing: Listing, scope: Scope) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": str(listing.revision)}
    if listing.next_key:
        metadata["continue"] = encode_token(listing.next_key, listing.revision, scope.store.prefix)
        if listing.remaining:
            metadata["remainingItemCount"] = listing.remaining
    return metadata


def _transformed(
    request: Request, scope: Scope, accepted: Accepted, objects: list[dict[str, Any]], metadata: dict[str, Any]
) -> Response:
    """YAML, Table or PartialObjectMetadataList."""
    info = scope.info
    if accepted.transform == "Table":
        shown = build_table(info, objects, metadata, scope.clock.now(), include_object=include_object(request))
        return object_response(in_version(shown, accepted), accepted)
    if accepted.transform:
        items = [in_version(partial_metadata(obj), accepted) for obj in objects]
        api_version = f"meta.k8s.io/{accepted.version}"
        answer = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": api_version,
            "metadata": metadata,
            "items": items,
        }
        return object_response(answer, accepted)
    body = {"kind": info.list_kind, "apiVersion": info.api_version, "metadata": metadata, "items": objects}
    return object_response(body, accepted)
