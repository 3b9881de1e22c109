"""Decoding: bounds, upstream's words, and the wire form that comes out."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.api.decode import decode, load_json, strict_error
from tiphys.api.json_body import duplicate_fields
from tiphys.api.kinds import KindInfo, builtin_registry
from tiphys.api.schema import Field, ListOf, MapOf, Scalar, Struct
from tiphys.api.status import StatusError

REGISTRY = builtin_registry()
STRING = Scalar("string")
INT32 = Scalar("integer", "int32", "int32")


def _kind(kind: str, group: str = "") -> KindInfo:
    info = REGISTRY.by_kind(group, "v1", kind)
    assert info is not None
    return info


def _pod(spec: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    base = {"containers": [{"name": "c", "image": "nginx", **container}], **(spec or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "g"}, "spec": base}


def _refusal(obj: Any, kind: str = "Pod", group: str = "") -> str:
    with pytest.raises(StatusError) as refused:
        decode(obj, _kind(kind, group).schema, kind_label=kind)
    assert refused.value.code == 400
    return refused.value.message


@pytest.mark.parametrize(
    ("kind", "obj", "text"),
    [
        ("Pod", _pod(resources={"limits": {"cpu": "abc"}}),
         "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        ("ConfigMap", {"kind": "ConfigMap", "data": {"a": 1}},
         "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        ("Secret", {"kind": "Secret", "data": {"a": "%%%"}}, "illegal base64 data at input byte 0"),
        ("Pod", _pod(ports=[{"containerPort": "80"}]),
         "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort "
         "of type int32"),
        ("Pod", _pod(env=[{"name": "A", "value": 1}]),
         "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string"),
        ("Pod", _pod(spec={"priority": 1.5}),
         "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32"),
        ("Pod", _pod(spec={"priority": 2**31}),
         "json: cannot unmarshal number 2147483648 into Go struct field PodSpec.spec.priority of type int32"),
        ("Pod", _pod(spec={"hostNetwork": "yes"}),
         "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool"),
        ("Pod", {"kind": "Pod", "spec": {"containers": {}}},
         "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"),
        ("Pod", {"kind": "Pod", "spec": []},
         "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        ("Pod", {"kind": "Pod", "metadata": {"creationTimestamp": "yesterday"}},
         'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"'),
        ("Pod", {"kind": "Pod", "metadata": {"creationTimestamp": "2026-13-01T00:00:00Z"}},
         'parsing time "2026-13-01T00:00:00Z": month out of range'),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_in_upstreams_words(kind: str, obj: dict[str, Any], text: str) -> None:
    assert _refusal(obj, kind) == f'{kind} in version "v1" cannot be handled as a {kind}: {text}'


def test_unknown_fields_are_dropped_and_named_in_document_order() -> None:
    obj = _pod({"bogus": 1}, ports=[{"containerPort": 1}, {"x": 1}])
    decoded = decode(obj, _kind("Pod").schema)
    assert decoded.unknown == [
        'unknown field "spec.containers[0].ports[1].x"',
        'unknown field "spec.bogus"',
    ]
    assert "bogus" not in decoded.value["spec"]
    error = strict_error(['duplicate field "spec.x"', *decoded.unknown[1:]], kind_label="Pod")
    assert error.message == (
        'Pod in version "v1" cannot be handled as a Pod: strict decoding error: '
        'duplicate field "spec.x", unknown field "spec.bogus"'
    )


def test_nulls_and_zero_omitempty_values_go_and_always_written_fields_come() -> None:
    obj = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "data": {},
        "immutable": None,
        "metadata": {"name": "", "labels": {}},
    }
    assert decode(obj, _kind("ConfigMap").schema).value == {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}}


def test_a_pointer_keeps_its_zero() -> None:
    value = decode(_pod({"terminationGracePeriodSeconds": 0, "hostNetwork": False}), _kind("Pod").schema).value
    assert value["spec"]["terminationGracePeriodSeconds"] == 0
    assert "hostNetwork" not in value["spec"]


def test_quantities_and_times_come_out_canonical() -> None:
    obj = _pod(resources={"limits": {"cpu": 0.5, "memory": "1024Mi"}})
    obj["metadata"]["creationTimestamp"] = "2026-01-01T02:00:00.75+02:00"
    value = decode(obj, _kind("Pod").schema).value
    assert value["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "500m", "memory": "1Gi"}
    assert value["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"


def test_a_null_inside_a_list_or_map_is_the_elements_zero() -> None:
    assert decode({"data": {"a": None}}, _kind("ConfigMap").schema).value["data"] == {"a": ""}
    assert decode(_pod(args=["a", None]), _kind("Pod").schema).value["spec"]["containers"][0]["args"] == ["a", ""]


def test_the_input_is_not_changed() -> None:
    obj = _pod({"bogus": 1, "nodeName": None}, resources={"limits": {"cpu": "1000m"}})
    before = json.dumps(obj)
    decode(obj, _kind("Pod").schema)
    assert json.dumps(obj) == before


def test_an_empty_managed_fields_list_is_kept_because_it_asks_for_a_reset() -> None:
    for asked in ([], [{}]):
        obj = {"metadata": {"name": "m", "managedFields": asked}}
        assert decode(obj, _kind("ConfigMap").schema).value["metadata"]["managedFields"] == asked
    template = {"spec": {"template": {"metadata": {"managedFields": []}}}}
    decoded = decode(template, _kind("Deployment", "apps").schema).value
    assert decoded["spec"]["template"]["metadata"] == {}, "but not a template's"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1,", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1e999}', b'{"a":"\\ud800"}', b"1" * 5000,
     b'{"a":' + b"9" * 5000 + b"}", b"[" * 300 + b"]" * 300, b"[" * 100_000, b'{"a":' * 5000, b'"\xff"', b"{'a':1}"],
)  # fmt: skip
def test_bad_json_is_a_400(body: bytes) -> None:
    with pytest.raises(StatusError) as refused:
        load_json(body)
    assert refused.value.code == 400


def test_nesting_within_the_limit_is_read() -> None:
    assert load_json(b"[" * 200 + b"]" * 200)[1] == []


def test_a_body_over_the_limit_is_a_413() -> None:
    with pytest.raises(StatusError) as refused:
        load_json(b" " * (3 * 1024 * 1024 + 1))
    assert (refused.value.code, refused.value.message) == (413, "Request entity too large: limit is 3145728")


def test_duplicate_keys_are_found_only_when_asked() -> None:
    body = b'{"a":{"b":1,"b":2,"c":[{"d":1,"d":1}]},"a":{}}'
    assert load_json(body) == ({"a": {}}, [])
    body = b'{"a":{"b":1,"b":2,"c":[{"d":1,"d":1}]}}'
    assert load_json(body, find_duplicates=True)[1] == ['duplicate field "a.b"', 'duplicate field "a.c[0].d"']


_texts = st.sampled_from(["a", "b", '":', '\\":', "\\u0022", "\\u003a", "x", ":", "ü", '"'])
_members = st.recursive(
    st.integers(0, 9).map(str) | _texts.map(json.dumps) | st.just('"\\u0022:"'),
    lambda inner: st.lists(st.tuples(_texts, st.sampled_from(["", " ", "\n"]), inner), max_size=4).map(
        lambda pairs: "{" + ",".join(f"{json.dumps(key)}{space}:{value}" for key, space, value in pairs) + "}"
    ),
    max_leaves=10,
)


@given(_members)
@settings(max_examples=600, deadline=None)
def test_the_shortcut_never_misses_a_duplicate(text: str) -> None:
    assert load_json(text.encode(), find_duplicates=True)[1] == duplicate_fields(text)


def test_the_deepest_accepted_value_is_decoded_without_recursion_trouble() -> None:
    node: Struct = Struct("x.Node", lambda: {"child": Field("child", node, pointer=True), "n": Field("n", INT32)})
    body = b'{"child":' * 199 + b"{}" + b"}" * 199
    value, _ = load_json(body)
    assert sys.getrecursionlimit() <= 1000
    assert decode(value, node).value == value


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e"]), inner),
    max_leaves=12,
)  # fmt: skip
_leaf = Struct("x.v1.Leaf", lambda: {"a": Field("a", STRING), "b": Field("b", INT32, zero=0)})
_tree = Struct(
    "x.v1.Tree",
    lambda: {
        "a": Field("a", STRING),
        "b": Field("b", ListOf(_leaf)),
        "c": Field("c", MapOf(Scalar("string", "quantity"))),
        "d": Field("d", _leaf, zero={}),
        "e": Field("e", Scalar("string", "int-or-string"), pointer=True),
    },
)


@given(_json)
@settings(max_examples=300, deadline=None)
def test_decoding_is_total_and_its_result_decodes_to_itself(value: Any) -> None:
    try:
        decoded = decode(value, _tree)
    except StatusError as error:
        assert error.code == 400
        return
    assert decode(decoded.value, _tree) == (decoded.value, [])
