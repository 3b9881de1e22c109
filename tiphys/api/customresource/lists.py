"""Lists that are sets or maps hold each member once (x-kubernetes-list-type)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiphys.api.customresource.structural import LIST_MAP_KEYS, LIST_TYPE, Structural
from tiphys.api.status import FieldError, duplicate, required, show


def duplicates(value: Any, node: Structural, path: str = "") -> list[FieldError]:
    return list(_walk(value, node, path))


def _walk(value: Any, node: Structural, path: str) -> Iterator[FieldError]:
    if isinstance(value, dict):
        for name, item in value.items():
            below = node.member(name)
            if below is not None:
                yield from _walk(item, below, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        kind = node.text.get(LIST_TYPE)
        if kind == "set":
            yield from _set(value, path)
        elif kind == "map":
            yield from _map(value, node, path)
        if node.items is not None:
            for index, item in enumerate(value):
                yield from _walk(item, node.items, f"{path}[{index}]")


def _set(value: list[Any], path: str) -> Iterator[FieldError]:
    seen = set()
    for index, item in enumerate(value):
        text = show(item)
        if text in seen:
            yield duplicate(f"{path}[{index}]", item)
        seen.add(text)


def _map(value: list[Any], node: Structural, path: str) -> Iterator[FieldError]:
    keys = node.text.get(LIST_MAP_KEYS) or []
    seen = set()
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            continue
        found = {key: item[key] for key in keys if key in item}
        if len(found) < len(keys):
            missing = next(key for key in keys if key not in item)
            yield required(f"{path}[{index}].{missing}")
            continue
        text = show(found)
        if text in seen:
            yield duplicate(f"{path}[{index}]", found)
        seen.add(text)
