"""Answers in Kubernetes' protobuf, for clients that ask for it first.

What must stay true: nothing is lost on the way.  A kind whose declaration has a field without a tag is answered in
JSON, and so are custom resources.  Encoding costs far more than handing out the JSON the watch cache holds, so an
object is encoded when somebody asks and the newest encodings are kept for the next.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import lru_cache
from typing import Any

import orjson

from apiserver.storage.cacheitem import CacheItem
from tiphys.api.declaration import struct_of
from tiphys.api.kinds import KindInfo, builtin_registry
from tiphys.api.meta import Status
from tiphys.api.openapi import subresource_model
from tiphys.api.protobuf import encode_message, encode_protobuf, envelope
from tiphys.api.protobuf_values import write_bytes, write_varint
from tiphys.api.schema import ListOf, MapOf, Struct, Type

Obj = dict[str, Any]

CACHE_BYTES = 16 * 1024 * 1024
_SIZES_KEPT = 20_000
TURN_BYTES = 256 * 1024
_ITEMS_PER_TURN = 64  # what a list encodes before others get their turn on the loop


@lru_cache(maxsize=1)
def _schemas() -> dict[tuple[str, str], Struct]:
    """(apiVersion, kind) -> what has a protobuf form."""
    found: dict[tuple[str, str], Struct] = {("v1", "Status"): struct_of(Status)}
    for info in builtin_registry().all():
        found[info.api_version, info.kind] = info.schema
        if "list" in info.verbs:
            found[info.api_version, info.list_kind] = info.list_schema
        for sub in info.subresources.values():
            model = subresource_model(sub.group, sub.version, sub.kind)
            if model is not None:
                found[f"{sub.group}/{sub.version}" if sub.group else sub.version, sub.kind] = struct_of(model)
    return {key: schema for key, schema in found.items() if is_complete(schema)}


def is_complete(schema: Struct) -> bool:
    """Whether every field down from here has a place in protobuf."""
    seen: set[int] = set()

    def visit(node: Type, *, inlined: frozenset[str] = frozenset(), root: bool = False) -> bool:
        if isinstance(node, ListOf):
            return visit(node.items)
        if isinstance(node, MapOf):
            return visit(node.values)
        if not isinstance(node, Struct) or id(node) in seen:
            return True
        seen.add(id(node))
        outside = inlined | (frozenset(node.inlined[1].fields) if node.inlined else frozenset())
        if root:
            outside |= {"kind", "apiVersion"}
        return all(
            (field.tag or field.name in outside or field.name in ("kind", "apiVersion")) and visit(field.type)
            for field in node.fields.values()
        )

    return visit(schema, root=True)


def speaks(info: KindInfo) -> bool:
    """Whether objects of this kind have a protobuf form."""
    return info.model is not None and (info.api_version, info.kind) in _schemas()


def encode_object(obj: Obj) -> bytes | None:
    """The `k8s\\0` body of an object; None where it has no protobuf form."""
    schema = _schemas().get((obj.get("apiVersion", ""), obj.get("kind", "")))
    return None if schema is None else encode_protobuf(obj, schema)


class Encodings:
    """The messages of objects as the watch cache has them, the newest kept."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit = limit_bytes
        self._size = 0
        self._kept: OrderedDict[tuple[str, str, int], bytes] = OrderedDict()
        self._sizes: dict[tuple[str, str, int], int] = {}

    def message(self, info: KindInfo, item: CacheItem) -> bytes:
        """The object's message, without envelope."""
        key = (info.api_version, item.key, item.revision)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = encode_message(orjson.loads(item.data), info.schema)
            self._size += len(found)
            while self._size > self._limit:
                self._size -= len(self._kept.popitem(last=False)[1])
        return found

    def size(self, info: KindInfo, item: CacheItem) -> int:
        """The length of the object's message."""
        key = (info.api_version, item.key, item.revision)
        size = self._sizes.get(key)
        if size is None:
            if len(self._sizes) >= _SIZES_KEPT:
                self._sizes.clear()
            size = self._sizes[key] = len(self.message(info, item))
        return size


ENCODINGS = Encodings()


async def encode_list(info: KindInfo, metadata: Obj, items: Sequence[CacheItem]) -> bytes:
    """The `k8s\\0` body of a list, its items encoded one by one."""
    fields = info.list_schema.fields
    raw = bytearray(encode_message({"metadata": metadata}, info.list_schema))
    for place, item in enumerate(items):
        if place % _ITEMS_PER_TURN == _ITEMS_PER_TURN - 1:
            await asyncio.sleep(0)
        write_bytes(raw, fields["items"].tag, ENCODINGS.message(info, item))
    return envelope(raw, info.api_version, info.list_kind)


def turns(items: Sequence[CacheItem], count: int) -> Iterator[Sequence[CacheItem]]:
    """The items in groups of at most `count`, and of few bytes."""
    start = size = 0
    for place, item in enumerate(items):
        size += len(item.data)
        if size >= TURN_BYTES or place - start + 1 >= count:
            yield items[start : place + 1]
            start, size = place + 1, 0
    if start < len(items):
        yield items[start:]


async def list_pieces(info: KindInfo, metadata: Obj, items: Sequence[CacheItem]) -> AsyncIterator[bytes]:
    """The same body bit by bit.  Its length stands before it, so what was not kept is encoded twice, not held."""
    tag = info.list_schema.fields["items"].tag
    head = encode_message({"metadata": metadata}, info.list_schema)
    total = len(head)
    for some in turns(items, _ITEMS_PER_TURN):
        for item in some:
            size = ENCODINGS.size(info, item)
            total += size + len(_frame(tag, size))
        await asyncio.sleep(0)
    around = envelope(b"", info.api_version, info.list_kind)  # ends with a length of zero and two empty fields
    opening = bytearray(around[:-5])
    write_varint(opening, total)
    yield bytes(opening) + head
    for some in turns(items, _ITEMS_PER_TURN):
        piece = bytearray()
        for item in some:
            write_bytes(piece, tag, ENCODINGS.message(info, item))
        yield bytes(piece)
        await asyncio.sleep(0)
    yield around[-4:]


def _frame(tag: int, size: int) -> bytearray:
    out = bytearray()
    write_varint(out, tag << 3 | 2)
    write_varint(out, size)
    return out


def encode_item(info: KindInfo, item: CacheItem) -> bytes:
    return envelope(ENCODINGS.message(info, item), info.api_version, info.kind)


def watch_frame(event_type: str, body: bytes) -> bytes:
    """A frame of a watch: four bytes of length, then a WatchEvent around the object's body."""
    extension, event = bytearray(), bytearray()
    write_bytes(extension, 1, body)
    write_bytes(event, 1, event_type.encode())
    write_bytes(event, 2, extension)
    return len(event).to_bytes(4) + bytes(event)
