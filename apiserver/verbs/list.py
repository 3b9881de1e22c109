"""list: a page of objects at one revision, the stored bytes joined, large ones piece by piece.

What must stay true: all pages of one list are the state at the first page's revision, or the answer is 410; without
resourceVersion a list includes every write acknowledged before the request.
"""

from __future__ import annotations

from typing import Any

from apiserver.encoding import dump, object_response
from apiserver.negotiation import JSON, PROTOBUF, negotiate
from apiserver.protobuf import encode_list, list_pieces, speaks
from apiserver.request import Request, Response, StreamingResponse
from apiserver.requestinfo import first, integer
from apiserver.storage.resourcecache import Listing
from apiserver.verbs import Scope
from apiserver.verbs.continuation import INCONSISTENT, decode_token, encode_token
from apiserver.verbs.freshness import Freshness, list_freshness, translate
from apiserver.verbs.listform import form_of, stored_json, transformed, whole
from apiserver.verbs.selection import selection
from tiphys.api.status import StatusError, bad_request

STREAM_FROM_BYTES = 4 * 1024 * 1024


async def list_objects(request: Request, scope: Scope) -> Response | StreamingResponse:
    accepted = negotiate(request.headers.get("Accept", ""))
    listing = await find(request, scope)
    metadata = _metadata(request, listing, scope)
    if listing.damaged:
        names = ", ".join(key.removeprefix(scope.store.prefix) for key in listing.damaged[:10])
        request.warn(f"{len(listing.damaged)} stored {scope.info.plural} cannot be read and are left out: {names}")
    large = sum(len(item.data) for item in listing.items) > STREAM_FROM_BYTES
    if accepted.media_type == PROTOBUF and speaks(scope.info):
        if large:
            return StreamingResponse(list_pieces(scope.info, metadata, listing.items), PROTOBUF, finite=True)
        return Response(200, await encode_list(scope.info, metadata, listing.items), PROTOBUF)
    form = form_of(request, scope, accepted, metadata)
    if not accepted.transform and accepted.media_type in (JSON, PROTOBUF):
        if large:
            return StreamingResponse(stored_json(form.head, listing), finite=True)
        return Response(200, listing.joined(dump(form.head)[:-2], b"]}"))
    if large:
        return StreamingResponse(transformed(form, listing.items, accepted), accepted.content_type, finite=True)
    return object_response(whole(form, listing.items), accepted)


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
