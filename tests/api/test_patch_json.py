"""JSON patch: the RFC's examples, upstream's texts and bounds."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.api.patch_json import json_patch, load_json_patch
from tiphys.api.status import StatusError


@pytest.mark.parametrize(
    ("doc", "operations", "result"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": 1}], {"foo": "bar", "baz": 1}),
        ({"foo": [1, 3]}, [{"op": "add", "path": "/foo/1", "value": 2}], {"foo": [1, 2, 3]}),
        ({"foo": [1]}, [{"op": "add", "path": "/foo/-", "value": 2}], {"foo": [1, 2]}),
        ({"foo": [1, 2]}, [{"op": "remove", "path": "/foo/0"}], {"foo": [2]}),
        ({"foo": [1, 2]}, [{"op": "remove", "path": "/foo/-1"}], {"foo": [1]}),
        ({"a": 1}, [{"op": "replace", "path": "/a", "value": None}], {"a": None}),
        ({"a": {"b": 1}, "c": {}}, [{"op": "move", "from": "/a/b", "path": "/c/d"}], {"a": {}, "c": {"d": 1}}),
        ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1], "b": [1]}),
        ({"a/b": 1, "m~n": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/m~0n"}], {}),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}], {"a": 1}),
        ({"a": 1}, [{"op": "test", "path": "/b", "value": None}], {"a": 1}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
        ({}, [], {}),
    ],
)
def test_operations(doc: Any, operations: list[Any], result: Any) -> None:
    before = copy.deepcopy(doc)
    assert json_patch(doc, operations) == result
    assert doc == before


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "test", "path": "/a", "value": 2}],
        [{"op": "test", "path": "/t", "value": 1}],
        [{"op": "remove", "path": "/nope"}],
        [{"op": "replace", "path": "/nope", "value": 1}],
        [{"op": "add", "path": "/nope/x", "value": 1}],
        [{"op": "add", "path": "/l/3", "value": 1}],
        [{"op": "add", "path": "/l/01x", "value": 1}],
        [{"op": "add", "path": "l", "value": 1}],
        [{"op": "add", "path": "/a/b", "value": 1}],
        [{"op": "add", "path": "/x"}],
        [{"op": "move", "from": "/l", "path": "/l/0"}],
        [{"op": "unheard", "path": "/a"}],
        [{"op": ["add"], "path": "/a"}],
        [{"path": "/a"}],
        ["x"],
    ],
)
def test_what_does_not_apply_is_a_422_without_the_cause(operations: list[Any]) -> None:
    with pytest.raises(StatusError) as refused:
        json_patch({"a": 1, "t": True, "l": [1, 2]}, operations)
    assert refused.value.to_dict() == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the server rejected our request due to an error in our request",
        "reason": "Invalid", "details": {}, "code": 422,
    }  # fmt: skip


def test_a_patch_that_is_no_list_is_a_400() -> None:
    with pytest.raises(StatusError) as refused:
        load_json_patch(b'{"not":"a list"}')
    assert refused.value.message == (
        "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
    )


def test_unknown_and_duplicate_members_are_strict_errors() -> None:
    operations, problems = load_json_patch(b'[{"op":"add","op":"add","path":"/a","value":1,"x":1}]')
    assert operations[0]["op"] == "add"
    assert problems == ['json patch duplicate field "[0].op"', 'json patch unknown field "[0].x"']


def test_more_than_ten_thousand_operations_are_too_many() -> None:
    with pytest.raises(StatusError) as refused:
        json_patch({}, [{"op": "test", "path": "/x"}] * 10_001)
    assert (refused.value.code, refused.value.message) == (
        413,
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
    )
    assert json_patch({}, [{"op": "test", "path": "/x"}] * 10_000) == {}


def test_copies_cannot_double_the_document_without_end() -> None:
    operations = [{"op": "copy", "from": "/a", "path": f"/a/{i}"} for i in range(40)]
    with pytest.raises(StatusError) as refused:
        json_patch({"a": {"x": "y" * 100}}, operations)
    assert refused.value.code == 422


def test_copies_cannot_nest_the_document_without_end() -> None:
    doc, operations = {"a": {}}, []
    for step in range(8):
        operations.append({"op": "copy", "from": "/a", "path": "/a" + "/a" * 2**step})
    with pytest.raises(StatusError) as refused:
        json_patch(doc, operations)
    assert refused.value.code == 422
    assert json_patch(doc, operations[:6]) != doc, "control: a few copies are fine"


_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "0", "-"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_paths = st.lists(st.sampled_from(["a", "b", "0", "1", "-", "-1", "~0", "~1"]), max_size=4).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
_operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]), "path": _paths},
    optional={"from": _paths, "value": _values},
)


@given(_values, st.lists(_operations, max_size=6))
@settings(max_examples=300, deadline=None)
def test_any_patch_applies_or_is_refused_and_the_document_stays(doc: Any, operations: list[Any]) -> None:
    before = copy.deepcopy(doc)
    try:
        json_patch(doc, operations)
    except StatusError as error:
        assert error.code == 422
    assert doc == before
