"""The bytes of an object: what is stored, and the same with its resourceVersion, which is what clients get.

A stored value is JSON that begins {"kind":..,"apiVersion":..,"metadata":{ and has no resourceVersion: the revision of
the write is the version.  So the client's bytes are the stored bytes with a few more in a known place, and no read
ever re-encodes an object.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from apiserver.storage.cacheitem import EMPTY, CacheItem, describe_json, shared
from apiserver.storage.store import Entry

Fields = Callable[[dict[str, Any]], Mapping[str, str]]

_METADATA = b'"metadata":{'
_VERSIONED = b'"metadata":{"resourceVersion":'


def encode_stored(obj: dict[str, Any]) -> bytes:
    """The value to store; `metadata.resourceVersion` is left out."""
    metadata = obj["metadata"]
    if "resourceVersion" in metadata:
        metadata = {key: value for key, value in metadata.items() if key != "resourceVersion"}
    ordered = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": metadata}
    for key, value in obj.items():
        if key not in ordered:
            ordered[key] = value
    return orjson.dumps(ordered)


def with_revision(value: bytes, revision: int) -> bytes:
    """The client's bytes of a stored value."""
    at = value.index(_METADATA) + len(_METADATA)
    return b'%b"resourceVersion":"%d",%b' % (value[:at], revision, value[at:])


def describe(fields_of: Callable[[str], Fields | None]) -> Callable[[Entry], CacheItem]:
    """How the watch cache reads an entry: like `describe_json`, but the bytes are spliced instead of encoded again.

    `fields_of(key)` gives the function that reads the selectable fields of that key's kind."""

    def read(entry: Entry) -> CacheItem:
        fields = fields_of(entry.key)
        if _VERSIONED in entry.value[:300] or _METADATA not in entry.value:
            return describe_json(entry, fields)  # bytes of a client (a DELETED event), or of nobody we know
        found = orjson.loads(entry.value)
        metadata = found["metadata"]
        labels = metadata.get("labels")
        return CacheItem(
            key=entry.key,
            namespace=sys.intern(metadata.get("namespace", "")),
            name=metadata.get("name", ""),
            revision=entry.revision,
            data=with_revision(entry.value, entry.revision),
            labels=shared(labels) if labels else EMPTY,
            fields=shared(fields(found)) if fields else EMPTY,
        )

    return read


def parse_version(text: str) -> int | None:
    """A resourceVersion as a number; None when it is none of ours."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
