"""What the watch cache holds: objects encoded once, and the events between them.

An item's bytes are the JSON that goes on the wire, resourceVersion included; every GET, LIST and WATCH shares them.  An
event keeps the item before and after, so that a watch with a selector can see an object arrive in or leave its view.
Nothing here knows a kind: selectable fields come from the caller of `describe_json`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import orjson

from apiserver.storage.store import Entry

EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CacheItem:
    """One object at one revision.  `fields` are the values its kind can be selected by (metadata.* aside)."""

    key: str
    namespace: str
    name: str
    revision: int
    data: bytes
    labels: Mapping[str, str]
    fields: Mapping[str, str]


Describe = Callable[[Entry], CacheItem]
"""Turns a stored entry into an item.  `entry.value` may carry an older resourceVersion.  Raising marks it damaged."""


def describe_json(entry: Entry, fields: Callable[[dict[str, Any]], Mapping[str, str]] | None = None) -> CacheItem:
    """The item of an entry whose value is an object's JSON; `fields(object)` gives its selectable fields.

    Raises ValueError where the value is not an object with metadata."""
    found = orjson.loads(entry.value)
    metadata = found.get("metadata") if isinstance(found, dict) else None
    if not isinstance(metadata, dict):
        raise ValueError(f"{entry.key}: the stored value is not an object with metadata")
    metadata["resourceVersion"] = str(entry.revision)
    labels = metadata.get("labels")
    selectable = fields(found) if fields else None
    return CacheItem(
        key=entry.key,
        namespace=sys.intern(metadata.get("namespace", "")),
        name=metadata.get("name", ""),
        revision=entry.revision,
        data=bytes(memoryview(orjson.dumps(found))),  # a copy: what orjson returns holds up to eight times its length
        labels=shared(labels) if labels else EMPTY,
        fields=shared(selectable) if selectable else EMPTY,
    )


_SHARED_LIMIT = 2048
_shared: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}


def shared(pairs: Mapping[str, str]) -> Mapping[str, str]:
    """The same few labels and values occur in thousands of objects: keep each text once, and most mappings too."""
    known = tuple(pairs.items())
    found = _shared.get(known)
    if found is None:
        if len(_shared) >= _SHARED_LIMIT:
            _shared.clear()
        found = {sys.intern(key): sys.intern(value) for key, value in known}
        _shared[tuple(found.items())] = found
    return found


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list or watch wants to see.  `matches` (labels, fields) is asked last.

    `field` is a selectable field and the value without which `matches` is never true: a watcher's place in an index."""

    namespace: str = ""
    name: str = ""
    matches: Callable[[CacheItem], bool] | None = None
    field: tuple[str, str] = ("", "")

    def accepts(self, item: CacheItem) -> bool:
        return (
            (not self.namespace or item.namespace == self.namespace)
            and (not self.name or item.name == self.name)
            and (self.matches is None or self.matches(item))
        )

    @property
    def selects(self) -> bool:
        """Whether it looks at more than the key's path."""
        return bool(self.name) or self.matches is not None


EVERYTHING = Filter()
EventType = Literal["ADDED", "MODIFIED", "DELETED"]


class WatchEvent:
    """What a watcher is told; shared by all watchers that are told the same."""

    __slots__ = ("_line", "item", "revision", "type")

    def __init__(self, event_type: EventType, item: CacheItem, revision: int) -> None:
        self.type = event_type
        self.item = item
        self.revision = revision
        self._line = b""

    @property
    def line(self) -> bytes:
        """The JSON frame of a watch stream with its newline, built once."""
        if not self._line:
            self._line = b'{"type":"%b","object":%b}\n' % (self.type.encode(), self.item.data)
        return self._line


class CacheEvent:
    """One write: the item before and after it (None: not there)."""

    __slots__ = ("_describe", "_told", "item", "previous", "revision")

    def __init__(self, revision: int, item: CacheItem | None, previous: CacheItem | None, describe: Describe) -> None:
        self.revision = revision
        self.item = item
        self.previous = previous
        self._describe = describe
        self._told: dict[EventType, WatchEvent] = {}

    def seen_through(self, view: Filter) -> WatchEvent | None:
        """What the event is to a watcher with this filter; None: nothing happened in its view."""
        before = self.previous is not None and view.accepts(self.previous)
        if self.item is not None and view.accepts(self.item):
            return self._tell("MODIFIED" if before else "ADDED", self.item)
        return self._tell("DELETED", self.previous) if before and self.previous is not None else None

    def _tell(self, event_type: EventType, item: CacheItem) -> WatchEvent:
        told = self._told.get(event_type)
        if told is None:
            if event_type == "DELETED":  # the last state it had in view, at the revision that took it out
                item = self._describe(Entry(item.key, item.data, self.revision, 0))
            told = self._told[event_type] = WatchEvent(event_type, item, self.revision)
        return told

    @property
    def size_bytes(self) -> int:
        return max(len(item.data) for item in (self.item, self.previous) if item is not None)
