"""YAML as kubectl reads and writes it.

Reading: YAML 1.1 scalars in the edition of kubectl's parser - `yes` and `on` are booleans, 0644 is 420, 1e3 is 1000,
dates and 22:22 stay strings, map keys become strings, text that starts with `{` is tried as JSON first.  Manifests are
input from strangers: bytes, nesting, nodes and what aliases multiply into are bounded while parsing, and the only tags
are those of JSON's own types.

Writing: keys sorted with numbers in natural order, two spaces, lists not indented below their key, strings quoted where
the reader would take them for something else.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
import yaml

from tiphys.api.json_body import DEPTH_LIMIT, duplicate_fields, is_deeper_than
from tiphys.api.yaml_dump import dump, dump_all
from tiphys.api.yaml_scalars import resolve

__all__ = ["Document", "Limits", "YamlError", "dump", "dump_all", "load_documents", "resolve"]


class Limits(NamedTuple):
    """Bounds on one input, which together bound the parser's time: a node costs it about 8 µs, a piece 1.5 µs.

    JSON, which another parser reads, is only held to `documents`."""

    size_bytes: int = 32 * 1024 * 1024
    documents: int = 100_000
    nodes: int = 200_000  # in one document
    pieces: int = 16 * 1024 * 1024  # words, lines and brackets
    flow_depth: int = 50  # of [ and {; the cost of every token grows with them


LIMIT_OPEN_BRACKETS = 50  # in a row; they cost the square of their number
LIMIT_ALIAS_NODES = 100_000  # what aliases may add by repeating

# Without libyaml PyYAML is slower and means the same.
_Parser: Any = getattr(yaml, "CParser", yaml.SafeLoader)


class YamlError(ValueError):
    """Unreadable input.  `document` and `line` count from 1; `line` is the line of the whole text."""

    def __init__(self, document: int, line: int, problem: str) -> None:
        super().__init__(f"document {document}, line {line}: {problem}")
        self.document = document
        self.line = line
        self.problem = problem


class Document(NamedTuple):
    number: int  # from 1; empty documents are counted but not returned
    line: int  # where its content starts, from 1
    value: Any


def load_documents(
    text: bytes | str, *, duplicates: list[str] | None = None, limits: Limits | None = None
) -> Iterator[Document]:
    """The documents of a manifest, empty ones left out.  Raises YamlError while iterating.

    Of a repeated key the last value counts; each repetition adds `line 5: key "a" already set in map` to `duplicates`.
    """
    limits = limits or Limits()
    source = _decoded(text)
    repeated = duplicates if duplicates is not None else []
    if source.lstrip().startswith("{"):
        found = _json_documents(source, repeated, limits.documents)
        if found is not None:
            yield from found
            return
    if len(text) > limits.size_bytes:
        raise YamlError(1, 1, f"the input is larger than {limits.size_bytes} bytes")
    deep = _OPEN_BRACKETS.search(source)
    if deep:
        raise YamlError(1, source.count("\n", 0, deep.start()) + 1, "exceeded max depth")
    if len(source.split()) + len(source.splitlines()) + sum(map(source.count, ",[]{}")) > limits.pieces:
        raise YamlError(1, 1, f"more than {limits.pieces} words, lines and brackets")
    number, line = 1, 1
    parser = None
    try:
        parser = _Parser(source)
        while not parser.check_event(yaml.StreamEndEvent):
            event = parser.get_event()
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                if number > limits.documents:
                    raise YamlError(number, line, f"more than {limits.documents} documents")
                reader = _DocumentReader(number, repeated, limits)
                value, line = reader.read(parser)
                if value is not None:
                    yield Document(number, line, value)
                number += 1
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = (error.problem or str(error)).replace(
            "values are not allowed here", "values are not allowed in this context"
        )
        raise YamlError(number, mark.line + 1 if mark else line, problem) from None
    except yaml.YAMLError as error:
        position = getattr(error, "position", None)
        line = source.count("\n", 0, position) + 1 if isinstance(position, int) else line
        raise YamlError(number, line, getattr(error, "reason", str(error))) from None
    finally:
        if parser is not None:
            parser.dispose()


_OPEN_BRACKETS = re.compile(rf"(?:[\[{{]\s*){{{LIMIT_OPEN_BRACKETS}}}")


def _decoded(text: bytes | str) -> str:
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlError(1, text[: error.start].count(b"\n") + 1, "invalid UTF-8") from None


_SPACE = re.compile(r"\s*")


def _json_documents(source: str, duplicates: list[str], limit: int) -> list[Document] | None:
    """JSON objects one after the other; None when it is not JSON but, perhaps, YAML."""
    find_end = json.JSONDecoder().raw_decode
    out: list[Document] = []
    position, line, seen = _skip_space(source, 0), 1, 0
    while position < len(source):
        line, seen = line + source.count("\n", seen, position), position
        if len(out) == limit:
            raise YamlError(limit + 1, line, f"more than {limit} documents")
        try:
            _, end = find_end(source, position)
            text = source[position:end]
            value = orjson.loads(text)
        except (ValueError, RecursionError):
            return None
        if is_deeper_than(value, DEPTH_LIMIT):
            raise YamlError(len(out) + 1, line, "exceeded max depth")
        duplicates += [f"line {line}: {problem}" for problem in duplicate_fields(text)]
        out.append(Document(len(out) + 1, line, value))
        position = _skip_space(source, end)
    return out


def _skip_space(source: str, position: int) -> int:
    found = _SPACE.match(source, position)
    return found.end() if found else position


_STANDARD = "tag:yaml.org,2002:"
_UNSET = object()


@dataclass(slots=True)
class _Frame:
    """A list or map under construction."""

    value: Any
    anchor: str | None
    nodes_before: int
    key: Any = _UNSET  # the key that waits for its value
    given: set[str] = field(default_factory=set)  # keys that stand in the map itself, not in a merge


class _DocumentReader:
    def __init__(self, number: int, duplicates: list[str], limits: Limits) -> None:
        self.number = number
        self.limits = limits
        self.flow_depth = 0
        self.duplicates = duplicates
        self.anchors: dict[str, tuple[Any, int]] = {}  # name -> (value, nodes in it)
        self.frames: list[_Frame] = []
        self.nodes = 0
        self.alias_nodes = 0
        self.root: Any = None

    def read(self, parser: Any) -> tuple[Any, int]:
        """(value, first line) of the document whose start has been read."""
        first = 0
        while True:
            event = parser.get_event()
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentEndEvent):
                return self.root, first or line
            first = first or line
            self.take(event, line)

    def take(self, event: Any, line: int) -> None:
        if isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event, line)
            self.count(1, line)
            if event.anchor:
                self.anchors[event.anchor] = (value, 1)
            self.place(value, line, is_merge=event.value == "<<" and event.implicit[0])
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self.open(event, line)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.close(line)
        elif isinstance(event, yaml.AliasEvent):
            value, nodes = self.anchors.get(event.anchor or "", (_UNSET, 0))
            if value is _UNSET:
                raise YamlError(self.number, line, f"unknown anchor '{event.anchor}' referenced")
            self.alias_nodes += nodes
            if self.alias_nodes > LIMIT_ALIAS_NODES:
                raise YamlError(self.number, line, "document contains excessive aliasing")
            self.count(nodes, line)
            self.place(copy.deepcopy(value) if nodes > 1 else value, line)

    def count(self, nodes: int, line: int) -> None:
        self.nodes += nodes
        if self.nodes > self.limits.nodes:
            raise YamlError(self.number, line, f"more than {self.limits.nodes} values in one document")

    def open(self, event: Any, line: int) -> None:
        wanted = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        if event.tag not in (None, "!", _STANDARD + wanted):
            raise YamlError(self.number, line, f"unsupported tag {_shown(event.tag)}")
        self.flow_depth = self.flow_depth + 1 if event.flow_style else 0
        if len(self.frames) >= DEPTH_LIMIT or self.flow_depth > self.limits.flow_depth:
            raise YamlError(self.number, line, "exceeded max depth")
        if self.frames and self.frames[-1].key is _UNSET and isinstance(self.frames[-1].value, dict):
            raise YamlError(self.number, line, "a map or list cannot be a map key")
        self.count(1, line)
        value: Any = {} if wanted == "map" else []
        self.frames.append(_Frame(value, event.anchor, self.nodes - 1))

    def close(self, line: int) -> None:
        frame = self.frames.pop()
        self.flow_depth = max(0, self.flow_depth - 1)
        if frame.anchor:
            self.anchors[frame.anchor] = (frame.value, self.nodes - frame.nodes_before)
        self.place(frame.value, line)

    def place(self, value: Any, line: int, *, is_merge: bool = False) -> None:
        if not self.frames:
            self.root = value
            return
        frame = self.frames[-1]
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.key is _UNSET:
            frame.key = _MERGE if is_merge else self.key_text(value, line)
        elif frame.key is _MERGE:
            self.merge(frame.value, value, line)
            frame.key = _UNSET
        else:
            if frame.key in frame.given:
                self.duplicates.append(f'line {line}: key "{frame.key}" already set in map')
            frame.given.add(frame.key)
            frame.value[frame.key] = value
            frame.key = _UNSET

    def key_text(self, value: Any, line: int) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        raise YamlError(self.number, line, "unsupported map key: null")

    def merge(self, target: dict[str, Any], merged: Any, line: int) -> None:
        """What follows `<<` in the map wins over it, what stands before loses, as in kubectl's parser."""
        sources = merged if isinstance(merged, list) else [merged]
        for source in reversed(sources):
            if not isinstance(source, dict):
                raise YamlError(self.number, line, "map merge requires map or sequence of maps as the value")
            target.update(source)

    def scalar(self, event: Any, line: int) -> Any:
        tag, text = event.tag, event.value
        if tag is None:
            return self.finite(resolve(text), line) if event.implicit[0] else text
        if tag in ("!", _STANDARD + "str"):
            return text
        value = resolve(text)
        fits = {
            "null": value is None,
            "bool": isinstance(value, bool),
            "int": isinstance(value, int) and not isinstance(value, bool),
            "float": isinstance(value, int | float) and not isinstance(value, bool),
        }
        name = tag.removeprefix(_STANDARD)
        if not tag.startswith(_STANDARD) or name not in fits:
            raise YamlError(self.number, line, f"unsupported tag {_shown(tag)}")
        if not fits[name]:
            raise YamlError(self.number, line, f"cannot decode {text[:40]!r} as a !!{name}")
        return self.finite(value, line)

    def finite(self, value: Any, line: int) -> Any:
        if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
            raise YamlError(self.number, line, "json: unsupported value: infinity and NaN have no JSON form")
        return value


_MERGE = object()


def _shown(tag: str) -> str:
    return "!!" + tag.removeprefix(_STANDARD) if tag.startswith(_STANDARD) else tag
