"""The JSONPath of printer columns: members, indexes, slices, [*], .. and filters; compiled once, run on every object.

What must stay true: no text becomes a regular expression or Python, and a run is bounded by the size of the object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterable[Any]]

LENGTH_LIMIT = 2048
_NAME = re.compile(r"(?:\\.|[^.\[\]\s'\"\\])+")
_SLICE = re.compile(r"(-?\d{0,9}):(-?\d{0,9})(?::(\d{1,9}))?\Z")
_COMPARISON = re.compile(r"(?P<left>[^=!<>]+?)\s*(?P<operator>==|!=|<=|>=|<|>)\s*(?P<right>.+)\Z", re.DOTALL)


class PathError(ValueError):
    """The path cannot be read; the text says why."""


@lru_cache(maxsize=1024)
def compile_path(path: str) -> Callable[[Any], list[Any]]:
    """`.spec.replicas` to a function from an object to everything the path finds.  Raises PathError."""
    if len(path) > LENGTH_LIMIT:
        raise PathError("the path is too long")
    steps = list(_steps(path))

    def find(value: Any) -> list[Any]:
        found = [value]
        for step in steps:
            found = [result for one in found for result in step(one)]
            if not found:
                break
        return found

    return find


def _steps(path: str) -> Iterator[Step]:
    at = 0
    while at < len(path):
        if path.startswith("..", at):
            match = _NAME.match(path, at + 2)
            if match is None:
                raise PathError(f"no name behind .. in {path!r}")
            yield _deep(match[0])
            at = match.end()
        elif path[at] == ".":
            match = _NAME.match(path, at + 1)
            if match is None:
                if at + 1 < len(path) and path[at + 1] == "[":
                    at += 1
                    continue
                raise PathError(f"unrecognized character in action at {path[at:]!r}")
            yield _member(match[0].replace("\\", ""))
            at = match.end()
        elif path[at] == "[":
            end = _closing(path, at)
            yield _bracket(path[at + 1 : end].strip())
            at = end + 1
        else:
            raise PathError(f"unrecognized character in action at {path[at:]!r}")


def _closing(path: str, start: int) -> int:
    quote, depth = "", 0
    for at in range(start, len(path)):
        char = path[at]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
            if depth == 0:
                return at
    raise PathError("unterminated array")


def _bracket(text: str) -> Step:
    if text == "*":
        return _everything
    if text[:1] in ("'", '"') and len(text) > 1 and text[-1] == text[0]:
        return _member(text[1:-1], literal=True)
    if text.startswith("?(") and text.endswith(")"):
        return _filter(text[2:-1].strip())
    if re.fullmatch(r"-?\d{1,9}", text):
        return _index(int(text))
    match = _SLICE.match(text)
    if match is not None:
        bounds = slice(*(int(part) if part else None for part in match.groups()))
        return lambda value: value[bounds] if isinstance(value, list) else ()
    raise PathError(f"invalid array index {text}")


def _member(name: str, *, literal: bool = False) -> Step:
    if name == "*" and not literal:
        return _everything
    return lambda value: (value[name],) if isinstance(value, dict) and name in value else ()


def _everything(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _index(place: int) -> Step:
    return lambda value: (value[place],) if isinstance(value, list) and -len(value) <= place < len(value) else ()


def _deep(name: str) -> Step:
    def find(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]
        for item in _everything(value):
            yield from find(item)

    return find


def _filter(condition: str) -> Step:
    match = _COMPARISON.match(condition)
    if match is None:
        wanted = _operand(condition)
        return lambda value: [one for one in _items(value) if wanted(one) is not None]
    left, right, operator = _operand(match["left"].strip()), _operand(match["right"].strip()), match["operator"]
    return lambda value: [one for one in _items(value) if _holds(left(one), operator, right(one))]


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


def _operand(text: str) -> Callable[[Any], Any]:
    if text.startswith("@"):
        find = compile_path(text[1:])
        return lambda item: next(iter(find(item)), None)
    if text[:1] in ("'", '"') and len(text) > 1 and text[-1] == text[0]:
        literal: Any = text[1:-1]
    else:
        try:
            literal = json.loads(text)
        except ValueError:
            raise PathError(f"cannot read {text!r} in a filter") from None
    return lambda item: literal


def _holds(left: Any, operator: str, right: Any) -> bool:
    if operator in ("==", "!="):
        return (left == right) is (operator == "==")
    try:
        return bool({"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator])
    except TypeError:
        return False


def simple_path(path: str) -> tuple[str, ...]:
    """The members of a path of plain members; () for any other.  What scale and field selectors may name."""
    names, at = [], 0
    while at < len(path):
        match = _NAME.match(path, at + 1) if path[at] == "." else None
        if match is not None:
            names.append(match[0].replace("\\", ""))
            at = match.end()
        elif path[at] == "[" and (end := path.find("]", at)) > at + 3 and path[at + 1] in "'\"":
            names.append(path[at + 2 : end - 1])
            at = end + 1
        else:
            return ()
    return tuple(names)


def at_path(value: Any, names: Iterable[str]) -> Any:
    """The value there, or None."""
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
