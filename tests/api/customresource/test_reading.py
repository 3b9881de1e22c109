"""Pruning, nulls and defaults, as tables."""

# ruff: noqa: E501 - a row of a table stays on one line

from __future__ import annotations

import copy
from typing import Any

import pytest

from tiphys.api.customresource.reading import drop_nulls, fill_defaults, prune
from tiphys.api.customresource.structural import Structural

KEEP = {"x-kubernetes-preserve-unknown-fields": True}


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


TEXT = {"type": "string"}

PRUNED: list[tuple[str, Any, Any, Any, list[str]]] = [
    ("a known field stays", obj(a=TEXT), {"a": "x"}, {"a": "x"}, []),
    ("an unknown field goes", obj(a=TEXT), {"a": "x", "b": {"c": 1}}, {"a": "x"}, ["b"]),
    ("the root keeps what every object has", obj(), {"kind": "K", "metadata": {"x": 1}}, {"kind": "K", "metadata": {"x": 1}}, []),
    ("in a list", obj(l={"type": "array", "items": obj(a=TEXT)}), {"l": [{"a": "x", "b": 1}]}, {"l": [{"a": "x"}]}, ["l[0].b"]),
    ("in a map", obj(m={"type": "object", "additionalProperties": obj(a=TEXT)}), {"m": {"k": {"b": 1}}}, {"m": {"k": {}}}, ["m.k.b"]),
    ("where unknown fields are kept", obj(p={"type": "object", **KEEP}), {"p": {"x": {"y": 1}}}, {"p": {"x": {"y": 1}}}, []),
    ("declared below kept ones", obj(p={**obj(d=obj(a=TEXT)), **KEEP}), {"p": {"x": 1, "d": {"b": 1}}}, {"p": {"x": 1, "d": {}}}, ["p.d.b"]),
    ("an embedded object's own fields stay", obj(e={**obj(spec=obj()), "x-kubernetes-embedded-resource": True}),
     {"e": {"kind": "P", "apiVersion": "v1", "metadata": {"name": "n"}, "other": 1}},
     {"e": {"kind": "P", "apiVersion": "v1", "metadata": {"name": "n"}}}, ["e.other"]),
    ("a value of a wrong type is left for validation", obj(a=obj(b=TEXT)), {"a": [1]}, {"a": [1]}, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "value", "wanted", "dropped"), [row[1:] for row in PRUNED], ids=[r[0] for r in PRUNED]
)
def test_pruning(schema: Any, value: Any, wanted: Any, dropped: list[str]) -> None:
    value = copy.deepcopy(value)
    assert prune(value, Structural.of(schema)) == dropped
    assert value == wanted
    assert prune(value, Structural.of(schema)) == []


DEFAULTED: list[tuple[str, Any, Any, Any]] = [
    ("a missing field", obj(a={**TEXT, "default": "d"}), {}, {"a": "d"}),
    ("a field that is there", obj(a={**TEXT, "default": "d"}), {"a": ""}, {"a": ""}),
    ("nested only where the parent is", obj(o=obj(a={**TEXT, "default": "d"})), {}, {}),
    ("nested in a default", obj(o={**obj(a={**TEXT, "default": "d"}), "default": {}}), {}, {"o": {"a": "d"}}),
    ("in the items of a list", obj(l={"type": "array", "items": obj(a={**TEXT, "default": "d"})}), {"l": [{}]}, {"l": [{"a": "d"}]}),
    ("null with a default", obj(a={**TEXT, "default": "d"}), {"a": None}, {"a": "d"}),
    ("null that is allowed", obj(a={**TEXT, "default": "d", "nullable": True}), {"a": None}, {"a": None}),
    ("null that means nothing", obj(a=TEXT), {"a": None}, {}),
    ("null in a map", obj(m={"type": "object", "additionalProperties": {**TEXT, "default": "d"}}), {"m": {"k": None}}, {"m": {"k": "d"}}),
    ("null of an unknown kind stays", obj(p={"type": "object", **KEEP}), {"p": {"x": None}}, {"p": {"x": None}}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "wanted"), [row[1:] for row in DEFAULTED], ids=[r[0] for r in DEFAULTED])
def test_defaults(schema: Any, value: Any, wanted: Any) -> None:
    node, value = Structural.of(schema), copy.deepcopy(value)
    for _ in range(2):
        drop_nulls(value, node)
        fill_defaults(value, node)
        assert value == wanted


def test_two_objects_never_share_a_default() -> None:
    node = Structural.of(obj(o={"type": "object", "default": {"x": []}, **KEEP}))
    one: dict[str, Any] = {}
    two: dict[str, Any] = {}
    fill_defaults(one, node)
    fill_defaults(two, node)
    one["o"]["x"].append(1)
    assert two == {"o": {"x": []}}
