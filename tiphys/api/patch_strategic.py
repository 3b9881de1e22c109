"""Strategic merge patch: a merge patch whose lists merge by the keys the schema declares.

Directives, all upstream's: `$patch: replace|delete` on a map or a list element, `$retainKeys`, `$setElementOrder/x`,
`$deleteFromPrimitiveList/x`, null deletes.  After a merge the patch's elements keep the patch's order, the others keep
the live order, and both are woven together by the live order (apimachinery's normalizeElementOrder).
"""

from __future__ import annotations

import copy
from typing import Any

from tiphys.api.scalars import json_word
from tiphys.api.schema import Anything, ListOf, MapOf, Struct, Type
from tiphys.api.status import StatusError, bad_request

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
SET_ORDER = "$setElementOrder"
DELETE_PRIMITIVES = "$deleteFromPrimitiveList"

_FREE = Anything()


def strategic_merge(doc: dict[str, Any], patch: Any, schema: Struct) -> dict[str, Any]:
    """The patched copy of `doc`; `doc` and `patch` stay.  The result is not yet decoded: run `decode` on it.

    400 for a patch that is no object or a malformed directive, 500 (as upstream) for a list element without its merge
    key and other inconsistencies.
    """
    if not isinstance(patch, dict):
        raise bad_request(f"json: cannot unmarshal {json_word(patch)} into Go value of type map[string]interface {{}}")
    return _merge_map(copy.deepcopy(doc), copy.deepcopy(patch), schema)


def _bad_format(what: str) -> StatusError:
    return bad_request(f"invalid patch format of {what}")


def _inconsistent(text: str) -> StatusError:
    return StatusError(500, "", text)


def _no_merge_key(element: dict[str, Any], merge_key: str) -> StatusError:
    return _inconsistent(f"map: {go_print(element)} does not contain declared merge key: {merge_key}")


def _bad_patch_type(kind: Any, element: dict[str, Any]) -> StatusError:
    return _inconsistent(f"unknown patch type: {go_print(kind)} in map: {go_print(element)}")


def go_print(value: Any) -> str:
    """A value as Go's %v prints it."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_print(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_print(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)


def _member(schema: Type, name: str) -> Type:
    if isinstance(schema, Struct):
        field = schema.fields.get(name)
        return field.type if field is not None else _FREE
    return schema.values if isinstance(schema, MapOf) else _FREE


def _merge_map(original: dict[str, Any], patch: dict[str, Any], schema: Type) -> dict[str, Any]:
    if DIRECTIVE in patch:
        kind = patch[DIRECTIVE]
        if kind == "replace":
            return {name: value for name, value in patch.items() if name != DIRECTIVE}
        if kind == "delete":
            return {}
        raise _bad_patch_type(kind, patch)
    _retain_keys(original, patch)
    _merge_ordered_lists(original, patch, schema)
    for name, value in patch.items():
        deletes = name.startswith(DELETE_PRIMITIVES)
        if deletes:
            name = _directive_target(name, DELETE_PRIMITIVES, "primitive list")
        if value is None:
            original.pop(name, None)
            continue
        current: Any = original.get(name)
        if name not in original or type(current) is not type(value):
            if not deletes:
                _take(original, name, value)
            continue
        member = _member(schema, name)
        if isinstance(value, dict):
            replaces = isinstance(member, Struct) and member.union == "replace"
            original[name] = value if replaces else _merge_map(current, value, member)
        elif isinstance(value, list):
            original[name] = _merge_list(current, value, member, deletes=deletes)
        else:
            original[name] = value
    return original


def _take(original: dict[str, Any], name: str, value: Any) -> None:
    """A value that meets no counterpart: its nulls and directives have nothing to act on and go."""
    cleaned, keep = _clean(value)
    if keep:
        original[name] = cleaned
    else:
        original.pop(name, None)


def _clean(value: Any) -> tuple[Any, bool]:
    if isinstance(value, list):
        cleaned = [_clean(item) for item in value]
        return [item for item, keep in cleaned if keep], True
    if not isinstance(value, dict):
        return value, True
    if value.get(DIRECTIVE) == "delete":
        return None, False
    if value.get(DIRECTIVE) == "replace" and len(value) == 1:
        return None, False
    out = {}
    for name, item in value.items():
        if item is None or name in (DIRECTIVE, RETAIN_KEYS):
            continue
        if name.startswith((SET_ORDER, DELETE_PRIMITIVES)):
            continue
        item, keep = _clean(item)
        if keep:
            out[name] = item
    return out, True


def _directive_target(name: str, prefix: str, what: str) -> str:
    head, slash, target = name.partition("/")
    if not slash or head != prefix:
        raise _bad_format(what)
    return target


def _retain_keys(original: dict[str, Any], patch: dict[str, Any]) -> None:
    if RETAIN_KEYS not in patch:
        return
    listed = patch.pop(RETAIN_KEYS)
    if not isinstance(listed, list):
        raise _bad_format("retainKeys")
    keys = {name for name in listed if isinstance(name, str)}
    for name, value in patch.items():
        if value is None or name.startswith((DELETE_PRIMITIVES, SET_ORDER)):
            continue
        if name not in keys:
            raise _bad_format("retainKeys")
    for name in [name for name in original if name not in keys]:
        del original[name]


def _merge_ordered_lists(original: dict[str, Any], patch: dict[str, Any], schema: Type) -> None:
    """`$setElementOrder/x` and, in the same step, the list x of the patch."""
    for name in [name for name in patch if name.startswith(SET_ORDER)]:
        order = patch.pop(name)
        target = _directive_target(name, SET_ORDER, "setElementOrder list")
        live: Any = original.get(target, [])
        change: Any = patch.get(target, [])
        for part in (order, live, change):
            if not isinstance(part, list):
                raise _inconsistent(f"expected a []interface {{}}, but received a {_go_kind(part)}")
        member = _member(schema, target)
        merge_key = member.patch_merge_key if isinstance(member, ListOf) else ""
        _check_order(change, order, merge_key)
        if target in patch:
            del patch[target]
            merged = _clean(change)[0] if target not in original else _merge_list(live, change, member)
        elif target in original:
            merged = live
        else:
            continue
        chosen, others = _partition(merged, order, merge_key)
        original[target] = _weave(chosen, others, order, live, merge_key)


def _go_kind(value: Any) -> str:
    return {"object": "map[string]interface {}", "number": "float64", "null": "<nil>"}.get(
        json_word(value), json_word(value)
    )


def _check_order(change: list[Any], order: list[Any], merge_key: str) -> None:
    """The patch's elements must stand in the order the directive gives."""
    wanted = [item for item in change if not (isinstance(item, dict) and DIRECTIVE in item)]
    places = _places(order, merge_key)
    positions = [places.get(_key(item, merge_key), -1) for item in wanted]
    if -1 in positions or positions != sorted(set(positions)):
        raise _inconsistent(
            f"The order in patch list:\n{go_print(change)}\n doesn't match {SET_ORDER} list:\n{go_print(order)}\n"
        )


def _merge_list(original: list[Any], patch: list[Any], type_: Type, *, deletes: bool = False) -> list[Any]:
    strategy = type_.patch_strategy.split(",") if isinstance(type_, ListOf) else []
    if not deletes and "merge" not in strategy:
        return patch
    if not original and not patch:
        return original
    merge_key = type_.patch_merge_key if isinstance(type_, ListOf) else ""
    kinds = {"map" if isinstance(item, dict) else json_word(item) for item in original + patch}
    if "array" in kinds:
        raise _inconsistent("lists of lists are not supported")
    if len(kinds) > 1:
        raise _inconsistent(
            "list element types are not identical: found " + " and ".join(sorted(kinds, reverse=True)[:2])
        )
    if kinds != {"map"}:
        if deletes:
            gone = set(patch)
            return [item for item in original if item not in gone]
        merged, merge_key = list(dict.fromkeys([*original, *patch])), ""
    else:
        if not merge_key:
            raise _inconsistent("cannot merge lists without merge key for " + _list_name(type_))
        items = type_.items if isinstance(type_, ListOf) else _FREE
        original, patch = _special_elements(original, patch, merge_key)
        merged = _merge_elements(list(original), patch, merge_key, items)
    chosen, others = _partition(merged, patch, merge_key)
    return _weave(chosen, others, patch, original, merge_key)


def _list_name(type_: Type) -> str:
    items = type_.items if isinstance(type_, ListOf) else type_
    return items.go_name if isinstance(items, Struct) else "slice"


def _special_elements(original: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
    ordinary, replace, gone = [], False, set()
    for element in patch:
        if DIRECTIVE not in element:
            ordinary.append(element)
            continue
        kind = element[DIRECTIVE]
        if kind == "delete":
            if merge_key not in element:
                raise _no_merge_key(element, merge_key)
            gone.add(_key(element, merge_key))
        elif kind == "replace":
            replace = True
        elif kind == "merge":
            raise _inconsistent("merging lists cannot yet be specified in the patch")
        else:
            raise _bad_patch_type(kind, element)
    if replace:
        return ordinary, []
    return [item for item in original if _key(item, merge_key) not in gone] if gone else original, ordinary


def _merge_elements(merged: list[Any], patch: list[Any], merge_key: str, items: Type) -> list[Any]:
    places = _places(merged, merge_key)
    for element in patch:
        if merge_key not in element:
            raise _no_merge_key(element, merge_key)
        key = _key(element, merge_key)
        at = places.get(key)
        if at is not None:
            merged[at] = _merge_map(merged[at], element, items)
        else:
            places[key] = len(merged)
            merged.append(_clean(element)[0])
    return merged


def _partition(merged: list[Any], by: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
    if merge_key:
        for element in merged:
            if merge_key not in element:
                raise _no_merge_key(element, merge_key)
        for index, element in enumerate(by):
            if not isinstance(element, dict):
                raise _inconsistent(f"value for key {index} is not a map.")
    places = _places(by, merge_key)
    chosen = [item for item in merged if _key(item, merge_key) in places]
    return chosen, [item for item in merged if _key(item, merge_key) not in places]


def _key(item: Any, merge_key: str) -> Any:
    value = item.get(merge_key) if merge_key and isinstance(item, dict) else item
    return value if not isinstance(value, dict | list) else go_print(value)


def _places(order: list[Any], merge_key: str) -> dict[Any, int]:
    places: dict[Any, int] = {}
    for index, item in enumerate(order):
        places.setdefault(_key(item, merge_key), index)
    return places


def _weave(chosen: list[Any], others: list[Any], order: list[Any], live: list[Any], merge_key: str) -> list[Any]:
    """`chosen` in the order of `order`, `others` in live order; an `other` goes before the first chosen element that
    stands behind it in the live list."""
    places, live_places = _places(order, merge_key), _places(live, merge_key)
    chosen = sorted(chosen, key=lambda item: places.get(_key(item, merge_key), len(order)))
    others = sorted(others, key=lambda item: live_places.get(_key(item, merge_key), len(live)))
    out: list[Any] = []
    left, right = 0, 0
    while left < len(others) and right < len(chosen):
        a = live_places.get(_key(others[left], merge_key), -1)
        b = live_places.get(_key(chosen[right], merge_key), -1)
        if 0 <= a < b:
            out.append(others[left])
            left += 1
        else:
            out.append(chosen[right])
            right += 1
    return out + others[left:] + chosen[right:]
