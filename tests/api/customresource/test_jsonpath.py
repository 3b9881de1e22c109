"""The paths of printer columns."""

# ruff: noqa: E501 - a row of a table stays on one line

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.api.customresource.columns import table_of
from tiphys.api.customresource.jsonpath import PathError, compile_path, simple_path

VALUE = {
    "spec": {"replicas": 3, "image.name": "x", "list": [{"n": "a", "v": 1}, {"n": "b", "v": 2}], "deep": {"x": {"n": "c"}}},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}  # fmt: skip

FOUND: list[tuple[str, list[Any]]] = [
    (".spec.replicas", [3]),
    (".spec.missing.x", []),
    (r".spec.image\.name", ["x"]),
    (".spec['image.name']", ["x"]),
    (".spec.list[0].n", ["a"]),
    (".spec.list[-1].n", ["b"]),
    (".spec.list[5].n", []),
    (".spec.list[*].n", ["a", "b"]),
    (".spec.list[0:1].n", ["a"]),
    ("..n", ["a", "b", "c"]),
    ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
    (".spec.list[?(@.v > 1)].n", ["b"]),
    (".spec.list[?(@.missing)].n", []),
    (".spec.*.x.n", ["c"]),
]


@pytest.mark.parametrize(("path", "wanted"), FOUND)
def test_a_path_finds(path: str, wanted: list[Any]) -> None:
    assert compile_path(path)(VALUE) == wanted


@pytest.mark.parametrize("path", ["spec", ".a[", ".a[x]", ".a..", "{.a}", ".a[?(@.b==c)]", "." + "a" * 3000])
def test_a_path_that_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(PathError):
        compile_path(path)


def test_plain_paths_are_told_from_others() -> None:
    assert simple_path(".spec.replicas") == ("spec", "replicas")
    assert simple_path(".spec['a.b'].c") == ("spec", "a.b", "c")
    assert simple_path(".spec[0]") == simple_path("spec") == ()


def test_cells_take_the_type_of_their_column() -> None:
    columns, cells = table_of(
        [
            {"name": "S", "type": "string", "jsonPath": ".s"},
            {"name": "I", "type": "integer", "jsonPath": ".i"},
            {"name": "B", "type": "boolean", "jsonPath": ".b"},
            {"name": "D", "type": "date", "jsonPath": ".d"},
        ]
    )
    assert [column.name for column in columns] == ["Name", "S", "I", "B", "D"]
    now = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    rows: list[tuple[dict[str, Any], list[Any]]] = [
        ({"s": "x", "i": 2.0, "b": True, "d": "2026-01-01T00:00:00Z"}, ["x", 2, True, "5m"]),
        ({"s": {"a": [1]}, "i": "2", "b": 1, "d": "soon"}, ['{"a":[1]}', None, None, "<invalid>"]),
        ({"s": 5}, ["5", None, None, None]),
    ]
    for value, wanted in rows:
        assert cells({"metadata": {"name": "n"}, **value}, now) == ["n", *wanted]
