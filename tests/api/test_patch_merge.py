"""JSON merge patch: the RFC's table and its laws."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.api.patch_merge import merge_patch
from tiphys.api.status import StatusError


@pytest.mark.parametrize(
    ("doc", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"cpu": "1000m"}, {"x": 1}, {"cpu": "1000m", "x": 1}),
    ],
)
def test_the_rfcs_examples(doc: Any, patch: Any, result: Any) -> None:
    assert merge_patch(doc, patch) == result


@pytest.mark.parametrize("patch", [[1], "x", 1, None, True])
def test_a_patch_that_is_no_object_is_refused(patch: Any) -> None:
    with pytest.raises(StatusError) as refused:
        merge_patch({"a": 1}, patch)
    assert refused.value.code == 400


_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
_objects = st.dictionaries(st.sampled_from("abc"), _values, max_size=3)


@given(_objects, _objects)
def test_a_patch_applied_twice_changes_nothing_more(doc: Any, patch: Any) -> None:
    before = copy.deepcopy((doc, patch))
    once = merge_patch(doc, patch)
    assert merge_patch(once, patch) == once
    assert (doc, patch) == before
