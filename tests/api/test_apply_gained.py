"""What a create owns is what the general comparison says, for every built-in kind and arbitrary objects."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tiphys.api.apply.merge import compare, gained
from tiphys.api.apply.server_side import empty_object
from tiphys.api.kinds import KindInfo, builtin_registry
from tiphys.api.schema import Anything, ListOf, MapOf, Scalar, Type

KINDS = {f"{info.api_version} {info.kind}": info for info in builtin_registry().all()}
_FREE: tuple[Any, ...] = ({}, {"x": 1}, {"x": {"y": [1]}}, [1], "s", 0, True, None)


def value_of(type_: Type, chance: random.Random, depth: int = 0) -> Any:
    """Some value of the type: null, empty, with repeated keys and unknown fields now and then."""
    if chance.random() < 0.04:
        return None
    if isinstance(type_, Scalar):
        some: dict[str, list[Any]] = {"integer": [0, 1], "boolean": [True, False]}
        return chance.choice(some.get(type_.type, ["", "a", "b"]))
    if isinstance(type_, ListOf):
        return [value_of(type_.items, chance, depth + 1) for _ in range(chance.randrange(4) if depth < 9 else 0)]
    if isinstance(type_, MapOf):
        names = [chance.choice('abé"') for _ in range(chance.randrange(3) if depth < 9 else 0)]
        return {name: value_of(type_.values, chance, depth + 1) for name in names}
    if isinstance(type_, Anything):
        return chance.choice(_FREE)
    taken = 0.5 if depth < 3 else 0.12
    found = {n: value_of(f.type, chance, depth + 1) for n, f in type_.fields.items() if chance.random() < taken}
    return {**found, "unknownField": {"z": 1}} if chance.random() < 0.1 else found


@pytest.mark.parametrize("info", KINDS.values(), ids=KINDS.keys())
def test_what_is_gained_is_what_was_added_or_modified(info: KindInfo) -> None:
    chance = random.Random(info.kind)
    for _ in range(8):
        new, other = value_of(info.schema, chance) or {}, value_of(info.schema, chance) or {}
        for old in (empty_object(info.schema), other):
            difference = compare(old, new, info.schema)
            assert gained(old, new, info.schema) == difference.added.union(difference.modified)
