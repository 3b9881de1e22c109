"""A list as bytes, piece by piece: JSON and YAML lists, Tables, PartialObjectMetadataLists, protobuf.

What must stay true: whoever asks for a large list costs one piece of it at a time, whatever the representation; and the
pieces together are the same bytes as the whole would be.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from apiserver.encoding import dump, dump_yaml
from apiserver.negotiation import YAML, Accepted
from apiserver.protobuf import turns
from apiserver.request import Request
from apiserver.storage.cacheitem import CacheItem
from apiserver.storage.resourcecache import Listing
from apiserver.verbs import Scope
from apiserver.verbs.render import in_version, include_object
from tiphys.api.table import build_table, partial_metadata, row

Obj = dict[str, Any]

PIECE_BYTES = 256 * 1024
_ITEMS_PER_TURN = 32  # decoded and encoded before others get their turn on the loop
_YAML_ITEMS_PER_TURN = 4


@dataclass(frozen=True, slots=True)
class Form:
    """A list's object with an empty list at `key`, and what one object becomes there."""

    head: Obj
    key: str
    show: Callable[[Obj], Obj]


def form_of(request: Request, scope: Scope, accepted: Accepted, metadata: Obj) -> Form:
    """Raises 400."""
    info = scope.info
    if accepted.transform == "Table":
        include, now = include_object(request), scope.clock.now()
        head = in_version(build_table(info, [], metadata, now, include_object=include), accepted)
        return Form(head, "rows", lambda obj: row(info, obj, now, include))
    if accepted.transform:
        head = {"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{accepted.version}"}
        return Form(
            {**head, "metadata": metadata, "items": []},
            "items",
            lambda obj: in_version(partial_metadata(obj), accepted),
        )
    head = {"kind": info.list_kind, "apiVersion": info.api_version, "metadata": metadata, "items": []}
    return Form(head, "items", lambda obj: obj)


def whole(form: Form, items: Sequence[CacheItem]) -> Obj:
    return {**form.head, form.key: [form.show(orjson.loads(item.data)) for item in items]}


def stored_json(head: Obj, listing: Listing) -> AsyncIterator[bytes]:
    """The stored bytes joined; `head` has an empty "items" at its end."""
    return _gathered(dump(head)[:-2], (item.data for item in listing.items), b",", b"]}")


async def _gathered(before: bytes, parts: Iterable[bytes], between: bytes, after: bytes) -> AsyncIterator[bytes]:
    waiting, size = [before], 0
    first = True
    for part in parts:
        waiting += (part,) if first else (between, part)
        first = False
        size += len(part)
        if size >= PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join((*waiting, after))


async def transformed(form: Form, items: Sequence[CacheItem], accepted: Accepted) -> AsyncIterator[bytes]:
    """Every object decoded, shown and encoded by itself."""
    if accepted.media_type == YAML:
        before, after = _yaml_around(form, empty=not items)
        turn, between = _YAML_ITEMS_PER_TURN, b""
        encode: Callable[[Obj], bytes] = _yaml_member
    else:
        before, after = _json_around(form)
        turn, between, encode = _ITEMS_PER_TURN, b",", dump
    yield before
    first = True
    for some in turns(items, turn):
        shown = [encode(form.show(orjson.loads(item.data))) for item in some]
        yield (b"" if first else between) + between.join(shown)
        first = False
        await asyncio.sleep(0)
    yield after


def _json_around(form: Form) -> tuple[bytes, bytes]:
    rest = {key: value for key, value in form.head.items() if key != form.key}
    return dump(rest)[:-1] + b',"%b":[' % form.key.encode(), b"]}"


def _yaml_member(shown: Obj) -> bytes:
    return dump_yaml([shown])


def _yaml_around(form: Form, *, empty: bool) -> tuple[bytes, bytes]:
    """Keys are in order; a list's members stand at the indentation of its key."""
    before = dump_yaml({key: value for key, value in form.head.items() if key < form.key})
    rest = {key: value for key, value in form.head.items() if key > form.key}
    opening = b"%b: []\n" % form.key.encode() if empty else b"%b:\n" % form.key.encode()
    return before + opening, dump_yaml(rest) if rest else b""
