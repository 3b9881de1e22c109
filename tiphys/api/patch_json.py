"""JSON patch (RFC 6902) as upstream's server applies it.

Differences to the RFC that clients rely on: `~` escapes of JSON pointers are decoded, negative array indices count from
the end, `test` of a missing path against null passes.  Bounds: 10,000 operations, and the copies of one patch may not
add up to more than 3 MiB, because each `copy` can double the document.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import orjson

from tiphys.api.json_body import DEPTH_LIMIT, duplicate_fields, is_deeper_than, load_json
from tiphys.api.scalars import json_word
from tiphys.api.status import StatusError, bad_request

OPERATION_LIMIT = 10_000
COPY_LIMIT_BYTES = 3 * 1024 * 1024
_MEMBERS = {"op", "from", "path", "value"}


class _Failed(Exception):
    """An operation does not apply; the client is told only that, as upstream does."""


def load_json_patch(body: bytes, *, strict: bool = True) -> tuple[list[dict[str, Any]], list[str]]:
    """The operations of a request body, and the texts of strict errors (`json patch unknown field "[0].x"`)."""
    try:
        operations, _ = load_json(body)
    except StatusError as error:
        if error.code != 400:
            raise
        raise bad_request(f"error decoding patch: {error.message}") from None
    if not isinstance(operations, list):
        word = json_word(operations)
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {word} into Go value of type []handlers.jsonPatchOp"
        )
    problems: list[str] = []
    for index, operation in enumerate(operations):
        if not isinstance(operation, dict):
            word = json_word(operation)
            raise bad_request(
                f"error decoding patch: json: cannot unmarshal {word} into Go value of type handlers.jsonPatchOp"
            )
        problems += [f'json patch unknown field "[{index}].{name}"' for name in operation if name not in _MEMBERS]
    if strict:
        problems = [f"json patch {text}" for text in duplicate_fields(body)] + problems
    return operations, problems


def json_patch(doc: Any, operations: Any) -> Any:
    """The patched copy of `doc`; `doc` itself stays.  400 on a malformed patch, 413 on too many operations, 422 when
    an operation does not apply (a failed test, a missing path)."""
    if not isinstance(operations, list):
        word = json_word(operations)
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {word} into Go value of type []handlers.jsonPatchOp"
        )
    if len(operations) > OPERATION_LIMIT:
        text = f"The allowed maximum operations in a JSON patch is {OPERATION_LIMIT}, got {len(operations)}"
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {text}")
    patcher = _Patcher(copy.deepcopy(doc))
    try:
        for operation in operations:
            patcher.apply(operation)
        if is_deeper_than(patcher.doc, DEPTH_LIMIT):
            raise _Failed("copies nested the document too deep")
    except (_Failed, RecursionError):
        # Upstream's generic answer carries none of the cause.
        raise StatusError(
            422, "Invalid", "the server rejected our request due to an error in our request", details={}
        ) from None
    return patcher.doc


def _split(pointer: Any) -> list[str]:
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise _Failed(f"bad path {pointer!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


class _Patcher:
    def __init__(self, doc: Any) -> None:
        self.doc = doc
        self.copied_bytes = 0

    def apply(self, operation: Any) -> None:
        if not isinstance(operation, dict):
            raise _Failed("operation is not an object")
        handler = _OPERATIONS.get(str(operation.get("op")))
        if handler is None:
            raise _Failed("unexpected kind")
        handler(self, operation)

    def get(self, parts: list[str]) -> Any:
        node = self.doc
        for part in parts:
            if isinstance(node, dict) and part in node:
                node = node[part]
            elif isinstance(node, list):
                node = node[_index(part, len(node) - 1, len(node))]
            else:
                raise _Failed("missing path")
        return node

    def add(self, operation: dict[str, Any]) -> None:
        if "value" not in operation:
            raise _Failed("missing value")
        self.put(_split(operation.get("path")), operation["value"])

    def put(self, parts: list[str], value: Any) -> None:
        if not parts:
            self.doc = value
            return
        parent, last = self.get(parts[:-1]), parts[-1]
        if isinstance(parent, dict):
            parent[last] = value
        elif isinstance(parent, list):
            position = len(parent) if last == "-" else _index(last, len(parent), len(parent) + 1)
            parent.insert(position, value)
        else:
            raise _Failed("parent is not a container")

    def remove(self, operation: dict[str, Any]) -> None:
        self.take(_split(operation.get("path")))

    def take(self, parts: list[str]) -> Any:
        if not parts:
            raise _Failed("cannot remove the whole document")
        parent, last = self.get(parts[:-1]), parts[-1]
        if isinstance(parent, dict) and last in parent:
            return parent.pop(last)
        if isinstance(parent, list):
            return parent.pop(_index(last, len(parent) - 1, len(parent)))
        raise _Failed("missing path")

    def replace(self, operation: dict[str, Any]) -> None:
        parts = _split(operation.get("path"))
        if "value" not in operation:
            raise _Failed("missing value")
        if not parts:
            self.doc = operation["value"]
            return
        self.get(parts)
        parent, last = self.get(parts[:-1]), parts[-1]
        parent[last if isinstance(parent, dict) else _index(last, len(parent) - 1, len(parent))] = operation["value"]

    def move(self, operation: dict[str, Any]) -> None:
        source, target = _split(operation.get("from")), _split(operation.get("path"))
        if len(target) > len(source) and target[: len(source)] == source:
            raise _Failed("cannot move a value into itself")
        if source == target:
            self.get(source)
            return
        self.put(target, self.take(source))

    def copy(self, operation: dict[str, Any]) -> None:
        value = self.get(_split(operation.get("from")))
        self.copied_bytes += len(orjson.dumps(value))
        if self.copied_bytes > COPY_LIMIT_BYTES:
            raise _Failed("the accumulated copies are too large")
        self.put(_split(operation.get("path")), copy.deepcopy(value))

    def test(self, operation: dict[str, Any]) -> None:
        expected = operation.get("value")
        try:
            found = self.get(_split(operation.get("path")))
        except _Failed:
            if expected is None:
                return
            raise
        if not same(found, expected):
            raise _Failed("testing value failed")


def _index(text: str, highest: int, length: int) -> int:
    """An array index; -1 counts from the end of `length` places."""
    digits = text[1:] if text.startswith("-") else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
        raise _Failed("bad index")
    number = int(text)
    if number < 0:
        number += length
    if not 0 <= number <= highest:
        raise _Failed("index out of bounds")
    return number


def same(left: Any, right: Any) -> bool:
    """JSON equality: 1 and 1.0 are equal, 1 and true are not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


_OPERATIONS: dict[str, Callable[[_Patcher, dict[str, Any]], None]] = {
    "add": _Patcher.add,
    "remove": _Patcher.remove,
    "replace": _Patcher.replace,
    "move": _Patcher.move,
    "copy": _Patcher.copy,
    "test": _Patcher.test,
}
