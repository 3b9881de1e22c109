"""Every keyword of a schema with a value that passes and one that does not, in upstream's words."""

# ruff: noqa: E501 - a row of a table stays on one line

from __future__ import annotations

import time
from typing import Any

import pytest

from tiphys.api.customresource import regex
from tiphys.api.customresource.lists import duplicates
from tiphys.api.customresource.regex import PatternError, check_pattern, is_match
from tiphys.api.customresource.structural import Structural
from tiphys.api.customresource.validation import validate

ROWS: list[tuple[Any, Any, Any, str]] = [
    ({"type": "string"}, "x", 5, 'f: Invalid value: "integer": f in body must be of type string: "integer"'),
    ({"type": "integer"}, 1.0, 1.5, 'f: Invalid value: "number": f in body must be of type integer: "number"'),
    ({"type": "number"}, 1, True, 'f: Invalid value: "boolean": f in body must be of type number: "boolean"'),
    ({"type": "object"}, {}, [], 'f: Invalid value: "array": f in body must be of type object: "array"'),
    ({"type": "string"}, "", None, 'f: Invalid value: "null": f in body must be of type string: "null"'),
    ({"type": "string", "nullable": True}, None, 1, 'f: Invalid value: "integer": f in body must be of type string: "integer"'),
    ({"x-kubernetes-int-or-string": True}, "5%", 1.5, 'f: Invalid value: "number": f in body must be of type integer,string: "number"'),
    ({"enum": ["a", "b"]}, "a", "c", 'f: Unsupported value: "c": supported values: "a", "b"'),
    ({"enum": [1]}, 1, True, 'f: Unsupported value: true: supported values: "1"'),
    ({"minimum": 1}, 1, 0, "f: Invalid value: 0: f in body should be greater than or equal to 1"),
    ({"minimum": 1, "exclusiveMinimum": True}, 2, 1, "f: Invalid value: 1: f in body should be greater than 1"),
    ({"maximum": 2.5}, 2.5, 3, "f: Invalid value: 3: f in body should be less than or equal to 2.5"),
    ({"maximum": 2, "exclusiveMaximum": True}, 1, 2, "f: Invalid value: 2: f in body should be less than 2"),
    ({"multipleOf": 0.1}, 0.3, 0.35, "f: Invalid value: 0.35: f in body should be a multiple of 0.1"),
    ({"format": "int32", "type": "integer"}, 2**31 - 1, 2**31, "f: Invalid value: 2147483648: Checked value must be of type integer with format int32 in f"),
    ({"maxLength": 2}, "äö", "abc", "f: Too long: may not be more than 2 bytes"),
    ({"minLength": 2}, "ab", "a", 'f: Invalid value: "a": f in body should be at least 2 chars long'),
    ({"pattern": "^a+$"}, "aa", "b", "f: Invalid value: \"b\": f in body should match '^a+$'"),
    ({"format": "date-time"}, "2020-01-01T00:00:00Z", "x", 'f: Invalid value: "x": f in body must be of type date-time: "x"'),
    ({"format": "ipv4"}, "10.0.0.1", "::1", 'f: Invalid value: "::1": f in body must be of type ipv4: "::1"'),
    ({"format": "unheard-of"}, "anything", 0, ""),
    ({"maxItems": 1, "items": {}}, [1], [1, 2], "f: Too many: 2: must have at most 1 items"),
    ({"minItems": 1, "items": {}}, [1], [], "f: Invalid value: 0: f in body should have at least 1 items"),
    ({"items": {"type": "string"}}, ["a"], ["a", 1], 'f[1]: Invalid value: "integer": f[1] in body must be of type string: "integer"'),
    ({"required": ["a"]}, {"a": None}, {}, "f.a: Required value"),
    ({"maxProperties": 1}, {"a": 1}, {"a": 1, "b": 2}, "f: Too many: 2: must have at most 1 items"),
    ({"additionalProperties": {"type": "string"}}, {"a": "b"}, {"a": 1}, 'f.a: Invalid value: "integer": f.a in body must be of type string: "integer"'),
    ({"not": {"enum": ["x"]}}, "y", "x", '<nil>: Invalid value: "": "f" must not validate the schema (not)'),
    ({"oneOf": [{"minimum": 1}, {"minimum": 5}]}, 2, 6, '<nil>: Invalid value: "": "f" must validate one and only one schema (oneOf). Found 2 valid alternatives'),
    ({"allOf": [{"minimum": 1}]}, 2, 0, "f: Invalid value: 0: f in body should be greater than or equal to 1"),
    ({"anyOf": [{"minimum": 5}, {"maximum": 1}]}, 6, 3, '<nil>: Invalid value: "": "f" must validate at least one schema (anyOf)'),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "good", "bad", "said"), ROWS)
def test_a_keyword(schema: Any, good: Any, bad: Any, said: str) -> None:
    assert validate(good, schema, path="f") == []
    assert next((str(error) for error in validate(bad, schema, path="f")), "") == said


def test_what_was_wrong_before_may_stay_but_not_get_worse() -> None:
    schema = {
        "properties": {
            "a": {"maximum": 1},
            "l": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
                "items": {"properties": {"v": {"maximum": 1}}},
            },
        }
    }
    old = {"a": 5, "l": [{"k": "x", "v": 9}]}
    assert validate({"a": 5, "b": 1, "l": [{"k": "y"}, {"k": "x", "v": 9}]}, schema, old) == []
    assert [error.field for error in validate({"a": 6, "l": [{"k": "x", "v": 8}]}, schema, old)] == ["a", "l[0].v"]


def test_lists_that_are_sets_or_maps_hold_each_member_once() -> None:
    node = Structural.of(
        {
            "properties": {
                "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {}},
                "m": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["k"],
                    "items": {},
                },
            }
        }
    )
    found = duplicates({"s": [1, "1", 1], "m": [{"k": 1}, {"k": 1, "v": 2}, {}]}, node)
    assert [str(error) for error in found] == [
        "s[2]: Duplicate value: 1",
        'm[1]: Duplicate value: {"k":1}',
        "m[2].k: Required value",
    ]


def test_a_pattern_that_makes_backtracking_engines_hang_does_not_hang() -> None:
    began = time.monotonic()
    assert not is_match("^(a+)+$", "a" * 5000 + "!")
    assert is_match("^(a+)+$", "a" * 5000)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a|b)*c", "^a(?=b)", r"(a)\1", "a*a*a*a*b", "(x{1,900}){1,900}"])
def test_without_re2_a_pattern_that_could_hang_is_refused(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex, "re2", None)
    regex._compiled.cache_clear()
    try:
        with pytest.raises(PatternError, match="google-re2"):
            check_pattern(pattern)
        check_pattern("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
        assert is_match("^[a-z]+$", "abc")
        assert not is_match("^[a-z]+$", "a" * 100_000)
    finally:
        regex._compiled.cache_clear()
