"""From objects to answers: JSON, YAML, protobuf, Status, gzip.

What must stay true: bytes that the watch cache already holds are sent as they are; only Table, PartialObjectMetadata,
YAML and protobuf are made per request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import yaml
from isal import igzip, isal_zlib

from apiserver.negotiation import JSON, PROTOBUF, YAML, Accepted
from apiserver.protobuf import encode_object
from apiserver.request import Chunk, Request, Response, StreamingResponse
from tiphys.api.status import StatusError

GZIP_FROM_BYTES = 128 * 1024
_GZIP_IN_THREAD_FROM_BYTES = 1024 * 1024


def dump(value: Any) -> bytes:
    """JSON bytes of an object in wire form."""
    return orjson.dumps(value)


def dump_yaml(value: Any) -> bytes:
    text = yaml.dump(value, Dumper=yaml.CSafeDumper, default_flow_style=False, allow_unicode=True, sort_keys=True)
    return text.encode()


def object_response(value: Any, accepted: Accepted, status: int = 200) -> Response:
    """What has no protobuf form is answered in JSON to those who prefer protobuf."""
    if accepted.media_type == PROTOBUF:
        raw = encode_object(value)
        return Response(status, dump(value), JSON) if raw is None else Response(status, raw, PROTOBUF)
    encoded = dump_yaml(value) if accepted.media_type == YAML else dump(value)
    return Response(status, encoded, accepted.content_type)


def bytes_response(encoded: bytes, accepted: Accepted, status: int = 200) -> Response:
    """An answer of JSON bytes that exist already; decoded again only for YAML and protobuf."""
    if accepted.media_type != JSON:
        return object_response(orjson.loads(encoded), accepted, status)
    return Response(status, encoded, JSON)


def status_response(error: StatusError) -> Response:
    response = Response(error.code, dump(error.to_dict()))
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if error.code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def success_status(name: str, group: str, plural: str, uid: str) -> dict[str, Any]:
    """What a DELETE that removed the object at once answers."""
    pairs = (("name", name), ("group", group), ("kind", plural), ("uid", uid))
    details = {key: value for key, value in pairs if value}
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details:
        status["details"] = details
    return status


async def compress(request: Request, response: Response) -> None:
    """Gzip a large answer in place where the client accepts it."""
    size = len(response.body)
    if size < GZIP_FROM_BYTES or "gzip" not in request.headers.get("Accept-Encoding", ""):
        return
    if "Content-Encoding" in response.headers:
        return
    if size >= _GZIP_IN_THREAD_FROM_BYTES:
        response.body = await asyncio.to_thread(igzip.compress, response.body, 1)
    else:
        response.body = igzip.compress(response.body, 1)
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"


def compress_stream(request: Request, response: StreamingResponse) -> StreamingResponse:
    """The same for a large answer that comes in pieces."""
    if response.finite and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.chunks = _compressed(response.chunks)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
    return response


async def _compressed(pieces: AsyncIterator[Chunk]) -> AsyncIterator[bytes]:
    packer = isal_zlib.compressobj(1, wbits=31)
    async for piece in pieces:
        assert isinstance(piece, bytes)
        yield packer.compress(piece)
    yield packer.flush()
