"""Walks over two values and a schema: compare them, merge one into the other, take fields out.

The rules are structured-merge-diff's.  Empty and null containers count as leaves when both sides are so, which keeps
the difference between "absent", "null" and "empty" that ownership depends on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tiphys.api.apply.fieldset import FieldSet, Path, field_element
from tiphys.api.apply.typed import ABSENT, FREE, LEAF, LIST, elements, item_type, member_type, shape
from tiphys.api.schema import ListOf, MapOf, Scalar, Struct, Type


@dataclass(slots=True)
class Comparison:
    added: FieldSet = field(default_factory=FieldSet)
    modified: FieldSet = field(default_factory=FieldSet)
    removed: FieldSet = field(default_factory=FieldSet)

    def without(self, ignored: FieldSet) -> Comparison:
        return Comparison(
            self.added.recursive_difference(ignored),
            self.modified.recursive_difference(ignored),
            self.removed.recursive_difference(ignored),
        )


def compare(old: Any, new: Any, type_: Type) -> Comparison:
    """Which fields `new` has more, has changed and has no longer."""
    result = Comparison()
    _compare(old, new, type_, (), result)
    return result


def _compare(old: Any, new: Any, type_: Type, path: Path, result: Comparison) -> None:
    if old is new or (old == new and type(old) is type(new)):
        return
    kind = shape(type_, old, new)
    if kind == LEAF or (_is_empty(old) and _is_empty(new)):
        _note_leaf(old, new, path, result)
        return
    if kind == LIST:
        below = item_type(type_)
        before, after = dict(elements(type_, old)), dict(elements(type_, new))
        for element in dict.fromkeys([*before, *after]):
            _compare(before.get(element, ABSENT), after.get(element, ABSENT), below, (*path, element), result)
    else:
        before = old if isinstance(old, dict) else {}
        after = new if isinstance(new, dict) else {}
        for name in dict.fromkeys([*before, *after]):
            _compare(
                before.get(name, ABSENT),
                after.get(name, ABSENT),
                member_type(type_, name),
                (*path, field_element(name)),
                result,
            )
    if old is ABSENT:
        result.added.insert(path)
    elif new is ABSENT:
        result.removed.insert(path)


def _note_leaf(old: Any, new: Any, path: Path, result: Comparison) -> None:
    if old is ABSENT:
        result.added.insert(path)
    elif new is ABSENT:
        result.removed.insert(path)
    elif old != new or isinstance(old, bool) is not isinstance(new, bool):
        result.modified.insert(path)


def _is_empty(value: Any) -> bool:
    return value is ABSENT or value is None or value == {} or value == []


def gained(old: Any, new: Any, type_: Type) -> FieldSet:
    """`added` and `modified` of `compare` in one set, without looking for what went: all that a create asks for."""
    result = FieldSet()
    _gain(old, new, type_, result)
    return result


def _gain(old: Any, new: Any, type_: Type, node: FieldSet) -> None:
    """Two containers of the same shape that are both there, or were null."""
    if shape(type_, old, new) == LIST:
        below, before = item_type(type_), dict(elements(type_, old))
        pairs = [
            (element, before.get(element, ABSENT), item, below) for element, item in dict(elements(type_, new)).items()
        ]
    else:
        known = old if isinstance(old, dict) else {}
        found = new if isinstance(new, dict) else {}
        pairs = [("f:" + name, known.get(name, ABSENT), v, member_type(type_, name)) for name, v in found.items()]
    for element, before_it, item, item_is in pairs:
        if before_it is ABSENT:
            _all_of(item, item_is, element, node)
        elif before_it is item or (before_it == item and type(before_it) is type(item)):
            continue
        elif shape(item_is, before_it, item) == LEAF or (_is_empty(before_it) and _is_empty(item)):
            if before_it != item or isinstance(before_it, bool) is not isinstance(item, bool):
                node.members.add(element)
        else:
            child = FieldSet()
            _gain(before_it, item, item_is, child)
            if child:
                node.children[element] = child


def _all_of(value: Any, type_: Type, element: str, node: FieldSet) -> None:
    """A value that was not there before, and everything in it."""
    node.members.add(element)
    if not value or isinstance(type_, Scalar):
        return
    child = FieldSet()
    if isinstance(type_, ListOf):
        if type_.list_type != "atomic":
            for item_element, item in dict(elements(type_, value)).items():
                _all_of(item, type_.items, item_element, child)
    elif isinstance(value, dict):
        if isinstance(type_, Struct):
            if not type_.atomic:
                fields = type_.fields
                for name, item in value.items():
                    declared = fields.get(name)
                    _all_of(item, declared.type if declared is not None else FREE, "f:" + name, child)
        elif not (isinstance(type_, MapOf) and type_.atomic):
            below = type_.values if isinstance(type_, MapOf) else FREE
            for name, item in value.items():
                _all_of(item, below, "f:" + name, child)
    if child:
        node.children[element] = child


def merge(live: Any, config: Any, type_: Type) -> Any:
    """`config` laid over `live`; shares unchanged parts with both."""
    if config is ABSENT:
        return live
    if live is ABSENT or live is None:
        return config
    kind = shape(type_, live, config)
    if kind == LEAF or (_is_empty(live) and _is_empty(config)):
        return config
    if kind == LIST:
        return _merge_list(live, config, type_) if config else live
    if not isinstance(config, dict) or not isinstance(live, dict):
        return live if config is None else config
    merged = dict(live)
    for name, value in config.items():
        merged[name] = merge(live.get(name, ABSENT), value, member_type(type_, name))
    return merged


def _merge_list(live: list[Any], config: list[Any], type_: Type) -> list[Any]:
    """The config's order for what both have; what only live has stays near its old neighbours."""
    below = item_type(type_)
    ours = list(elements(type_, live))
    left = [element for element, _ in ours]
    before = dict(reversed(ours))
    after = dict(elements(type_, config))
    right = list(after)
    shared = [element for element in right if element in before]
    merged_right: set[str] = set()
    out: list[Any] = []
    at_left = at_right = at_shared = 0

    def take_right() -> None:
        nonlocal at_right
        element = right[at_right]
        merged_right.add(element)
        out.append(merge(before.get(element, ABSENT), after[element], below))
        at_right += 1

    while at_left < len(left) or at_right < len(right):
        wanted = shared[at_shared] if at_shared < len(shared) else None
        if at_left < len(left) and at_right < len(right):
            element = left[at_left]
            if element == right[at_right]:
                take_right()
                at_left += 1
                at_shared += 1
                continue
            if element in after and wanted is not None and wanted != element:
                at_left += 1  # shared, but its turn comes later
                continue
        if at_left < len(left):
            element = left[at_left]
            if element not in after:
                out.append(ours[at_left][1])
                at_left += 1
                continue
            if element in merged_right:
                at_left += 1
        if at_right < len(right):
            if wanted is not None and right[at_right] == wanted:
                at_shared += 1
            take_right()
    return out


def remove_items(value: Any, fields: FieldSet, type_: Type) -> Any:
    """`value` without the members of `fields`; a container that loses everything becomes null."""
    kind = shape(type_, value)
    if kind == LEAF:
        return None if isinstance(value, list) and value else value
    if not value:
        return value
    if kind == LIST:
        return _remove_from_list(value, fields, type_) or None
    out = {}
    for name, item in value.items():
        element = field_element(name)
        if element in fields.members:
            continue
        below = fields.children.get(element)
        out[name] = remove_items(item, below, member_type(type_, name)) if below else item
    return out or None


def _remove_from_list(value: list[Any], fields: FieldSet, type_: Type) -> list[Any]:
    out = []
    for element, item in elements(type_, value):
        if element in fields.members:
            continue
        below = fields.children.get(element)
        out.append(remove_items(item, below, item_type(type_)) if below else item)
    return out
