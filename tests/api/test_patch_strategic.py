"""Strategic merge patch: every directive, upstream's order of elements, upstream's error texts."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.api.kinds import builtin_registry
from tiphys.api.patch_strategic import strategic_merge
from tiphys.api.schema import Field, ListOf, MapOf, Scalar, Struct
from tiphys.api.status import StatusError

STRING = Scalar("string")
ITEM = Struct(
    "x.v1.Item",
    lambda: {
        "name": Field("name", STRING),
        "value": Field("value", STRING),
        "tags": Field("tags", ListOf(STRING, patch_strategy="merge")),
        "sub": Field("sub", ListOf(ITEM, "map", ("name",), "merge", "name")),
    },
)
ROOT = Struct(
    "x.v1.Root",
    lambda: {
        "items": Field("items", ListOf(ITEM, "map", ("name",), "merge", "name")),
        "atomic": Field("atomic", ListOf(STRING)),
        "tags": Field("tags", ListOf(STRING, "set", (), "merge")),
        "labels": Field("labels", MapOf(STRING)),
        "strategy": Field("strategy", ITEM),
        "keyless": Field("keyless", ListOf(ITEM, patch_strategy="merge")),
        "n": Field("n", Scalar("integer", "int32", "int32")),
    },
)


def named(*names: str) -> list[dict[str, Any]]:
    return [{"name": name} for name in names]


@pytest.mark.parametrize(
    ("doc", "patch", "result"),
    [
        # maps
        ({"n": 1}, {"n": 2}, {"n": 2}),
        ({"n": 1, "labels": {"a": "1"}}, {"labels": {"b": "2"}}, {"n": 1, "labels": {"a": "1", "b": "2"}}),
        ({"n": 1}, {"n": None}, {}),
        ({"labels": {"a": "1"}}, {"labels": {"a": None}}, {"labels": {}}),
        ({"labels": {"a": "1"}}, {"labels": {"$patch": "replace", "b": "2"}}, {"labels": {"b": "2"}}),
        ({"labels": {"a": "1"}}, {"labels": {"$patch": "delete"}}, {"labels": {}}),
        ({}, {"labels": {"a": None, "b": "1"}}, {"labels": {"b": "1"}}),
        ({}, {"labels": {"$patch": "delete"}}, {}),
        # $retainKeys
        ({"strategy": {"name": "a", "value": "b"}}, {"strategy": {"$retainKeys": ["name"], "name": "c"}},
         {"strategy": {"name": "c"}}),
        ({"strategy": {"name": "a", "value": "b"}}, {"strategy": {"$retainKeys": ["name"], "value": None}},
         {"strategy": {"name": "a"}}),
        # atomic lists are replaced
        ({"atomic": ["a"]}, {"atomic": ["b"]}, {"atomic": ["b"]}),
        # keyed lists
        ({"items": [{"name": "a", "value": "1"}]}, {"items": [{"name": "a", "tags": ["x"]}]},
         {"items": [{"name": "a", "value": "1", "tags": ["x"]}]}),
        ({"items": named("a")}, {"items": named("b")}, {"items": named("b", "a")}),
        ({"items": named("a", "b", "c")}, {"items": [{"name": "c", "value": "1"}]},
         {"items": [{"name": "a"}, {"name": "b"}, {"name": "c", "value": "1"}]}),
        ({"items": named("a", "b")}, {"items": [{"name": "b", "$patch": "delete"}]}, {"items": named("a")}),
        ({"items": named("a", "b")}, {"items": [{"$patch": "replace"}, {"name": "z"}]}, {"items": named("z")}),
        ({"items": named("a", "b")}, {"items": [{"$patch": "replace"}]}, {"items": []}),
        ({}, {"items": [{"name": "b", "$patch": "delete"}, {"name": "c"}]}, {"items": named("c")}),
        ({"items": [{"name": "a", "sub": named("x")}]}, {"items": [{"name": "a", "sub": named("y")}]},
         {"items": [{"name": "a", "sub": named("y", "x")}]}),
        # lists of scalars
        ({"tags": ["a", "b"]}, {"tags": ["c", "a"]}, {"tags": ["c", "a", "b"]}),
        ({"tags": ["a", "b"]}, {"$deleteFromPrimitiveList/tags": ["a"]}, {"tags": ["b"]}),
        ({}, {"$deleteFromPrimitiveList/tags": ["a"]}, {}),
        ({"tags": ["a"]}, {"tags": ["b"], "$deleteFromPrimitiveList/tags": ["a"]}, {"tags": ["b"]}),
        # $setElementOrder
        ({"items": named("a", "b", "c")}, {"$setElementOrder/items": named("c", "a", "b")},
         {"items": named("c", "a", "b")}),
        ({"items": named("a", "server", "b")}, {"$setElementOrder/items": named("b", "a")},
         {"items": named("server", "b", "a")}),
        ({"items": named("a", "b")}, {"$setElementOrder/items": named("new", "a", "b"), "items": named("new")},
         {"items": named("new", "a", "b")}),
        ({"items": named("a", "b")},
         {"$setElementOrder/items": named("b"), "items": [{"name": "a", "$patch": "delete"}]}, {"items": named("b")}),
        ({}, {"$setElementOrder/items": named("b", "a"), "items": named("b", "a")}, {"items": named("b", "a")}),
        ({}, {"$setElementOrder/items": named("b", "a")}, {}),
        ({"tags": ["a", "b"]}, {"$setElementOrder/tags": ["b", "a"]}, {"tags": ["b", "a"]}),
        # a change of type takes the patch's value
        ({"labels": "x"}, {"labels": {"a": "1"}}, {"labels": {"a": "1"}}),
    ],
)  # fmt: skip
def test_merging(doc: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    before = copy.deepcopy((doc, patch))
    assert strategic_merge(doc, patch, ROOT) == result
    assert (doc, patch) == before


@pytest.mark.parametrize(
    ("doc", "patch", "code", "text"),
    [
        ({"items": named("a")}, {"items": [{"value": "x"}]}, 500,
         "map: map[value:x] does not contain declared merge key: name"),
        ({"items": named("a")}, {"items": [{"$patch": "delete"}]}, 500,
         "map: map[$patch:delete] does not contain declared merge key: name"),
        ({"items": named("a")}, {"items": [{"name": "a", "$patch": "upsert"}]}, 500,
         "unknown patch type: upsert in map: map[$patch:upsert name:a]"),
        ({"items": named("a")}, {"items": [{"name": "a", "$patch": "merge"}]}, 500,
         "merging lists cannot yet be specified in the patch"),
        ({"labels": {}}, {"labels": {"$patch": "x"}}, 500, "unknown patch type: x in map: map[$patch:x]"),
        ({"items": named("a")}, {"items": [["a"]]}, 500, "lists of lists are not supported"),
        ({"keyless": named("a")}, {"keyless": named("b")}, 500, "cannot merge lists without merge key for Item"),
        ({"strategy": {}}, {"strategy": {"$retainKeys": "name"}}, 400, "invalid patch format of retainKeys"),
        ({"strategy": {}}, {"strategy": {"$retainKeys": ["name"], "value": "x"}}, 400,
         "invalid patch format of retainKeys"),
        ({}, {"$deleteFromPrimitiveList": ["a"]}, 400, "invalid patch format of primitive list"),
        ({}, {"$setElementOrder": []}, 400, "invalid patch format of setElementOrder list"),
        ({}, [], 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
    ],
)  # fmt: skip
def test_refusals(doc: dict[str, Any], patch: Any, code: int, text: str) -> None:
    with pytest.raises(StatusError) as refused:
        strategic_merge(doc, patch, ROOT)
    assert (refused.value.code, refused.value.message) == (code, text)


def test_elements_out_of_the_directives_order_are_refused() -> None:
    patch = {"$setElementOrder/items": named("a", "b"), "items": named("b", "a")}
    with pytest.raises(StatusError, match="The order in patch list"):
        strategic_merge({"items": named("a", "b")}, patch, ROOT)


def test_services_merge_ports_by_port_and_pods_by_container_port() -> None:
    service = builtin_registry().by_kind("", "v1", "Service")
    assert service is not None
    doc = {"spec": {"ports": [{"port": 80, "name": "a"}]}}
    patch = {"spec": {"ports": [{"port": 80, "targetPort": 1}, {"port": 81}]}}
    assert strategic_merge(doc, patch, service.schema)["spec"]["ports"] == [
        {"port": 80, "name": "a", "targetPort": 1},
        {"port": 81},
    ]


def test_large_lists_merge_in_linear_time() -> None:
    count = 20_000
    doc = {"items": [{"name": f"n{i}"} for i in range(count)]}
    patch = {"items": [{"name": f"n{i}", "value": "x"} for i in reversed(range(count))]}
    assert len(strategic_merge(doc, patch, ROOT)["items"]) == count


_names = st.lists(st.sampled_from("abcd"), unique=True, max_size=4)


def _items(names: list[str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": name * 2} for name in names]


@given(_names, _names)
@settings(max_examples=200, deadline=None)
def test_merging_twice_is_merging_once_and_nothing_is_lost(live: list[str], change: list[str]) -> None:
    patch = {"items": _items(change), "tags": change}
    once = strategic_merge({"items": named(*live), "tags": live}, patch, ROOT)
    assert strategic_merge(once, patch, ROOT) == once
    assert {item["name"] for item in once.get("items", [])} == {*live, *change}
    assert [name for name in once.get("tags", []) if name in change] == change


_junk = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from(["a", "b", "delete", "replace", "merge"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["items", "tags", "labels", "strategy", "name", "value", "$patch", "$retainKeys", "$setElementOrder/items",
             "$setElementOrder/tags", "$deleteFromPrimitiveList/tags", "sub"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(_junk)
@settings(max_examples=500, deadline=None)
def test_any_patch_applies_or_is_refused(patch: Any) -> None:
    doc = {"items": _items(["a", "b"]), "tags": ["a"], "labels": {"a": "1"}, "strategy": {"name": "a"}, "n": 1}
    try:
        strategic_merge(doc, patch, ROOT)
    except StatusError as error:
        assert error.code in (400, 500)
