"""Request bodies as JSON values: within byte and depth limits, duplicate keys named on request.

orjson reads; it already refuses NaN, Infinity, numbers out of range and lone surrogates.  Only when a client wants
strict or warning field validation is the text read a second time to find keys that come twice.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from tiphys.api.status import StatusError, bad_request

BODY_LIMIT_BYTES = 3 * 1024 * 1024
VALUES_LIMIT = 100_000  # what can be stored has fewer: each takes 10 µs on its way through all walks
DEPTH_LIMIT = 200  # deeper than any real manifest, and every recursive walk stays far from Python's own limit


def load_json(
    body: bytes, *, find_duplicates: bool = False, kind_label: str = "", limit_bytes: int = BODY_LIMIT_BYTES
) -> tuple[Any, list[str]]:
    """The JSON value and, when asked, texts such as `duplicate field "spec.x"`.  400 on bad JSON, 413 on too much."""
    if len(body) > limit_bytes:
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit_bytes}")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(_unreadable(body, _json_error(error, body), kind_label)) from None
    # Every value but the first is behind one of these; inside of strings they count for nothing.
    if body.count(b",") + body.count(b"{") + body.count(b"[") > VALUES_LIMIT and has_more_values(value, VALUES_LIMIT):
        text = f"Request entity too large: more than {VALUES_LIMIT} values"
        raise StatusError(413, "RequestEntityTooLarge", text)
    if body.count(b"[") + body.count(b"{") > DEPTH_LIMIT and is_deeper_than(value, DEPTH_LIMIT):
        raise bad_request(_unreadable(body, "exceeded max depth", kind_label))
    if not find_duplicates or _surely_without_duplicates(body, value):
        return value, []
    return value, duplicate_fields(body)


# What would make the count below say too little: a quote or colon in disguise, space before a colon.
_DOUBTFUL = (b"\\u00", b" :", b"\n:", b"\t:", b"\r:")


def _surely_without_duplicates(body: bytes, value: Any) -> bool:
    """A cheap proof for nearly every body: written again, the value has as many `":` as it had.

    Each key has one, a key that was lost takes its own away, and those inside strings are the same in both texts.
    """
    if any(doubtful in body for doubtful in _DOUBTFUL):
        return False
    return body.count(b'":') == orjson.dumps(value).count(b'":')


def has_more_values(value: Any, limit: int) -> bool:
    """Whether a JSON value holds more than `limit` values; looks at no more than it must."""
    level, count = [value] if isinstance(value, dict | list) else [], 1
    while level:
        count += sum(map(len, level))
        if count > limit:
            return True
        children = (node.values() if isinstance(node, dict) else node for node in level)
        level = [one for some in children for one in some if isinstance(one, dict | list) and one]
    return False


def is_deeper_than(value: Any, limit: int) -> bool:
    """Whether containers are nested more than `limit` deep; itself without recursion."""
    level = [value]
    for _ in range(limit):
        below: list[Any] = []
        for node in level:
            children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
            below.extend(child for child in children if isinstance(child, dict | list))
        if not below:
            return False
        level = below
    return True


def _json_error(error: orjson.JSONDecodeError, body: bytes) -> str:
    text = str(error)
    if "recursion" in text:
        return "exceeded max depth"
    if not body.strip() or "unexpected end" in text or "EOF" in text:
        return "unexpected end of JSON input"
    return text


def _unreadable(body: bytes, problem: str, kind_label: str) -> str:
    if not body:
        start = "<empty>"
    else:
        start = body[:30].decode("utf-8", "replace") if body[:1] == b"{" else body[:30].hex()
        start += " ..." if len(body) > 30 else ""
    must = f" (must be of type {kind_label})" if kind_label else ""
    return (
        f"the object provided is unrecognized{must}: couldn't get version/kind; json parse error: {problem} ({start})"
    )


class _WithDuplicates(dict[str, Any]):
    """A JSON object some of whose keys came twice."""

    duplicates: list[str]


def duplicate_fields(body: bytes | str) -> list[str]:
    """`duplicate field "path"` for every repeated key of a JSON text that is known to be well-formed."""
    found = False

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        built = dict(pairs)
        if len(built) == len(pairs):
            return built
        found = True
        marked = _WithDuplicates(built)
        seen: set[str] = set()
        marked.duplicates = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
        return marked

    value = json.loads(body, object_pairs_hook=build)
    texts: list[str] = []
    if found:
        _collect_duplicates(value, "", texts)
    return list(dict.fromkeys(texts))


def _collect_duplicates(value: Any, path: str, texts: list[str]) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _collect_duplicates(item, f"{path}[{index}]", texts)
    elif isinstance(value, dict):
        if isinstance(value, _WithDuplicates):
            texts.extend(f'duplicate field "{join_path(path, key)}"' for key in value.duplicates)
        for key, item in value.items():
            _collect_duplicates(item, join_path(path, key), texts)


def join_path(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
