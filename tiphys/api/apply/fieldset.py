"""Sets of field paths, as managedFields store them (FieldsV1).

A path element is kept as its wire text: `f:name` a field, `k:{"name":"c"}` an element of a keyed list, `v:"x"` a member
of a set, `i:0` an index.  A set node has members (elements that are in the set themselves) and children (elements with
something below them); an element can be both, which FieldsV1 writes as ".".

Sets are values: every operation returns a new set and may share nodes with its operands, so nobody changes a set that
was handed out (`insert` is for whoever builds it).
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import orjson

Path = tuple[str, ...]


class FieldSet:
    __slots__ = ("children", "members")

    def __init__(self, members: set[str] | None = None, children: dict[str, FieldSet] | None = None) -> None:
        self.members: set[str] = members if members is not None else set()
        self.children: dict[str, FieldSet] = children if children is not None else {}

    def __bool__(self) -> bool:
        """Whether there is anything in it; nodes without content are never kept."""
        return bool(self.members or self.children)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldSet) and self.members == other.members and self.children == other.children

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"FieldSet({self.to_fields_v1()})"

    def insert(self, path: Sequence[str]) -> None:
        node = self
        for element in path[:-1]:
            child = node.children.get(element)
            if child is None:
                child = node.children[element] = FieldSet()
            node = child
        if path:
            node.members.add(path[-1])

    def has(self, path: Sequence[str]) -> bool:
        node: FieldSet | None = self
        for element in path[:-1]:
            node = node.children.get(element) if node is not None else None
        return node is not None and bool(path) and path[-1] in node.members

    def below(self, element: str) -> FieldSet:
        return self.children.get(element) or EMPTY

    def union(self, other: FieldSet) -> FieldSet:
        if not other:
            return self
        if not self:
            return other
        children = dict(self.children)
        for element, child in other.children.items():
            mine = children.get(element)
            children[element] = mine.union(child) if mine is not None else child
        return FieldSet(self.members | other.members, children)

    def intersection(self, other: FieldSet) -> FieldSet:
        children = {}
        for element, child in self.children.items():
            theirs = other.children.get(element)
            common = child.intersection(theirs) if theirs is not None else None
            if common:
                children[element] = common
        return FieldSet(self.members & other.members, children)

    def difference(self, other: FieldSet) -> FieldSet:
        """Without the paths that are in `other`; what lies below such a path stays."""
        if not other:
            return self
        children = {}
        for element, child in self.children.items():
            theirs = other.children.get(element)
            rest = child.difference(theirs) if theirs is not None else child
            if rest:
                children[element] = rest
        return FieldSet(self.members - other.members, children)

    def recursive_difference(self, other: FieldSet) -> FieldSet:
        """Without the paths in `other` and everything below them."""
        if not other:
            return self
        children = {}
        for element, child in self.children.items():
            if element in other.members:
                continue
            theirs = other.children.get(element)
            rest = child.recursive_difference(theirs) if theirs is not None else child
            if rest:
                children[element] = rest
        return FieldSet(self.members - other.members, children)

    def paths(self, prefix: Path = ()) -> Iterator[Path]:
        """Every path, sorted as upstream sorts."""
        for element in _sorted(self.members | self.children.keys()):
            if element in self.members:
                yield (*prefix, element)
            child = self.children.get(element)
            if child is not None:
                yield from child.paths((*prefix, element))

    def to_fields_v1(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        children = self.children
        for element in _sorted(self.members | children.keys() if children else self.members):
            child = children.get(element)
            if child is None:
                out[element] = {}
            else:
                below = child.to_fields_v1()
                out[element] = {".": {}, **below} if element in self.members else below
        return out

    @classmethod
    def from_fields_v1(cls, fields: Any) -> FieldSet:
        """Raises ValueError with upstream's text on a malformed set."""
        node = cls()
        if fields is None:
            return node
        if not isinstance(fields, dict):
            raise ValueError("expected an object")
        for text, below in fields.items():
            if text == ".":
                continue
            element = canonical_element(text)
            if not isinstance(below, dict):
                raise ValueError(f"parsing {text}: expected an object")
            if not below or "." in below:
                node.members.add(element)
            child = cls.from_fields_v1(below)
            if child:
                node.children[element] = child
        return node


EMPTY = FieldSet()
_CACHED_BYTES = 16 * 1024
_CACHED_KEY = 64  # characters: names of containers, volumes, variables come again and again


def read_fields_v1(fields: Any) -> FieldSet:
    """`FieldSet.from_fields_v1`, remembered: a controller's entry is read on every status update."""
    encoded = orjson.dumps(fields)
    return _remembered(encoded) if len(encoded) <= _CACHED_BYTES else FieldSet.from_fields_v1(fields)


@lru_cache(maxsize=1024)
def _remembered(encoded: bytes) -> FieldSet:
    return FieldSet.from_fields_v1(orjson.loads(encoded))


_KIND_ORDER = {"f": 0, "k": 1, "v": 2, "i": 3}


def _sorted(elements: Iterable[str]) -> list[str]:
    """As upstream sorts.  Only indices stand elsewhere than their text does, and hardly any set has them."""
    ordered = sorted(elements)
    place = bisect_left(ordered, "i:")
    if place < len(ordered) and ordered[place].startswith("i:"):
        ordered.sort(key=_order)
    return ordered


def _order(element: str) -> tuple[int, int, str]:
    kind = element[0]
    return (_KIND_ORDER.get(kind, 4), int(element[2:]) if kind == "i" else 0, element)


_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_compact_sorted = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode


def field_element(name: str) -> str:
    return "f:" + name


def key_element(keys: dict[str, Any]) -> str:
    if len(keys) == 1:
        ((name, value),) = keys.items()
        if isinstance(value, str) and len(value) <= _CACHED_KEY:
            return _named_element(name, value)
    return "k:" + _compact_sorted(keys)


@lru_cache(maxsize=4096)
def _named_element(name: str, value: str) -> str:
    return "k:" + _compact_sorted({name: value})


def value_element(value: Any) -> str:
    return "v:" + _compact(value)


def canonical_element(text: str) -> str:
    """The element in our spelling.  Raises ValueError for what is no element."""
    kind, colon, rest = text.partition(":")
    if not colon:
        raise ValueError(f"missing colon: {text!r}")
    if kind == "f":
        return text
    try:
        if kind == "i":
            return f"i:{int(rest)}"
        if kind == "v":
            return value_element(json.loads(rest))
        if kind == "k":
            keys = json.loads(rest)
            if isinstance(keys, dict):
                return key_element(keys)
            raise ValueError("incorrect key")
    except RecursionError:
        raise ValueError("path element nested too deep") from None
    raise ValueError(f"unknown path element type {kind}")


def path_text(path: Sequence[str]) -> str:
    """.spec.template.spec.containers[name="c"].image, as conflict messages print it."""
    parts = []
    for element in path:
        kind, rest = element[0], element[2:]
        if kind == "f":
            parts.append("." + rest)
        elif kind == "k":
            keys = json.loads(rest)
            parts.append("[" + ",".join(f"{name}={_compact(keys[name])}" for name in sorted(keys)) + "]")
        elif kind == "v":
            parts.append(f"[={rest}]")
        else:
            parts.append(f"[{rest}]")
    return "".join(parts)


def set_of(*paths: Sequence[str]) -> FieldSet:
    """A set of plain field paths: set_of(("metadata", "name"))."""
    result = FieldSet()
    for path in paths:
        result.insert([field_element(name) for name in path])
    return result
