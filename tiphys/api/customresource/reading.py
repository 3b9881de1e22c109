"""What becomes of a custom resource when it is read: unknown fields go, nulls that mean nothing go, defaults come.

What must stay true: pruning an object twice changes nothing, nor does defaulting it twice; a value of a wrong type is
left for validation to name.
"""

from __future__ import annotations

from typing import Any

from tiphys.api.customresource.structural import ABSENT, OF_EVERY_RESOURCE, Structural
from tiphys.api.declaration import copy_json
from tiphys.api.json_body import join_path

JsonObject = dict[str, Any]


def prune(value: Any, node: Structural, *, root: bool = True) -> list[str]:
    """Drops, in place, what the schema does not know; the paths of what was dropped, such as spec.jobs[0].typo."""
    dropped: list[str] = []
    _prune(value, node, "", dropped, root=root or node.embedded)
    return dropped


def _prune(value: Any, node: Structural | None, path: str, dropped: list[str], *, root: bool) -> None:
    if isinstance(value, list):
        below = node.items if node is not None else None
        if node is not None and node.preserve_unknown and below is None:
            return
        for index, item in enumerate(value):
            _prune(item, below, f"{path}[{index}]", dropped, root=below is not None and below.embedded)
    elif isinstance(value, dict):
        _prune_object(value, node, path, dropped, root=root)


def _prune_object(value: JsonObject, node: Structural | None, path: str, dropped: list[str], *, root: bool) -> None:
    for name in list(value):
        if root and name in OF_EVERY_RESOURCE:
            continue
        below = node.properties.get(name) if node is not None else None
        if below is None and node is not None and (node.additional is not None or node.free_form):
            _prune(value[name], node.additional, join_path(path, name), dropped, root=False)
        elif below is not None:
            _prune(value[name], below, join_path(path, name), dropped, root=below.embedded)
        elif node is None or not node.preserve_unknown:
            del value[name]
            dropped.append(join_path(path, name))


def drop_nulls(value: Any, node: Structural) -> None:
    """Takes nulls away, in place, where the schema allows none and has no default in their stead."""
    if isinstance(value, dict):
        for name in list(value):
            below = node.member(name)
            if below is None:
                continue
            if value[name] is None and not below.nullable and below.default is ABSENT:
                del value[name]
            else:
                drop_nulls(value[name], below)
    elif isinstance(value, list) and node.items is not None:
        for item in value:
            drop_nulls(item, node.items)


def fill_defaults(value: Any, node: Structural) -> None:
    """Puts defaults, in place, where a value is missing or null without leave; a default's own gaps are filled too."""
    if not node.fills:
        return
    if isinstance(value, dict):
        for name, below in node.properties.items():
            if below.default is not ABSENT and _is_missing(value.get(name, ABSENT), below):
                value[name] = copy_json(below.default)
        for name, item in value.items():
            member = node.member(name)
            if member is None:
                continue
            if item is None and not member.nullable and member.default is not ABSENT:
                item = value[name] = copy_json(member.default)
            fill_defaults(item, member)
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            if item is None and not node.items.nullable and node.items.default is not ABSENT:
                item = value[index] = copy_json(node.items.default)
            fill_defaults(item, node.items)


def _is_missing(value: Any, node: Structural) -> bool:
    return value is ABSENT or (value is None and not node.nullable)
