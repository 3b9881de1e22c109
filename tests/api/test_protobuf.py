"""Protobuf: what kubectl really sends, every declared kind there and back, and hostile bytes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiphys.api.authentication.tokenrequest import TokenRequest
from tiphys.api.declaration import struct_of
from tiphys.api.decode import decode
from tiphys.api.kinds import builtin_registry
from tiphys.api.meta import DeleteOptions
from tiphys.api.protobuf import decode_message, decode_protobuf, encode_message, encode_protobuf
from tiphys.api.protobuf_values import Malformed
from tiphys.api.schema import Anything, Field, ListOf, MapOf, Scalar, Struct, Type
from tiphys.api.status import StatusError

REGISTRY = builtin_registry()
RECORDED = [json.loads(line) for line in (Path(__file__).parent.parent / "data/protobuf/kubectl.jsonl").open()]
BODIES = {record["command"]: base64.b64decode(record["body"]) for record in RECORDED}


def sent(start: str, schema: Struct | None = None) -> dict[str, Any]:
    body = next(body for command, body in BODIES.items() if command.startswith(start))
    obj = decode_protobuf(body, REGISTRY, schema=schema)
    group, _, version = obj["apiVersion"].rpartition("/")
    info = REGISTRY.by_kind(group, version, obj["kind"])
    known = info.schema if info is not None else schema
    assert known is not None
    decoded = decode(obj, known)
    assert decoded.unknown == []
    return decoded.value


def test_kubectl_create_deployment() -> None:
    obj = sent("create deployment")
    assert (obj["apiVersion"], obj["kind"], obj["metadata"]) == (
        "apps/v1",
        "Deployment",
        {"name": "web", "labels": {"app": "web"}},
    )
    assert obj["spec"] == {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [
                {"name": "nginx", "image": "nginx:1", "ports": [{"containerPort": 80}], "resources": {}}
            ]},
        },
    }  # fmt: skip


def test_kubectl_create_service_token_secret_and_can_i() -> None:
    assert sent("create service")["spec"]["ports"] == [
        {"name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": 30001}
    ]
    token = sent("create token", struct_of(TokenRequest))
    assert token["spec"]["expirationSeconds"] == 3600
    assert token["spec"]["audiences"] == ["x"]
    assert sent("create secret")["data"] == {"a": "Yg=="}
    assert sent("create ns")["metadata"]["name"] == "foo"
    assert sent("auth can-i")["spec"]["resourceAttributes"]["resource"] == "pods"


def test_a_kind_nobody_knows_is_a_400() -> None:
    with pytest.raises(StatusError) as refused:
        sent("create token")
    assert refused.value.code == 400


def _text_of(scalar: Scalar) -> st.SearchStrategy[Any]:
    by_format: dict[str, st.SearchStrategy[Any]] = {
        "quantity": st.sampled_from(["1", "500m", "1Gi", "1500M"]),
        "date-time": st.sampled_from(["2026-01-02T03:04:05Z", "1969-12-31T23:59:59Z", "2100-01-01T00:00:00Z"]),
        "micro-time": st.sampled_from(["2026-01-02T03:04:05.000006Z", "2026-01-02T03:04:05.000000Z"]),
        "int-or-string": st.integers(-5, 2**31 - 1) | st.sampled_from(["25%", "http"]),
        "byte": st.binary(min_size=1, max_size=5).map(lambda raw: base64.b64encode(raw).decode()),
    }
    if scalar.format in by_format:
        return by_format[scalar.format]
    if scalar.type == "boolean":
        return st.booleans()
    if scalar.type == "integer":
        bits = 31 if scalar.format == "int32" else 63
        return st.integers(-(2**bits), 2**bits - 1)
    if scalar.type == "number":
        return st.floats(allow_nan=False, allow_infinity=False)
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)


@st.composite
def values(draw: Any, type_: Type, depth: int = 0) -> Any:
    if isinstance(type_, Scalar):
        return draw(_text_of(type_))
    if isinstance(type_, Anything):
        return {"f:a": {}, "n": 1}
    if isinstance(type_, ListOf):
        return [draw(values(type_.items, depth + 1)) for _ in range(draw(st.integers(1, 2)))]
    if isinstance(type_, MapOf):
        keys = draw(st.lists(st.sampled_from(["a", "b", "ü"]), min_size=1, max_size=2, unique=True))
        return {key: draw(values(type_.values, depth + 1)) for key in keys}
    names = [name for name, member in type_.fields.items() if _travels(type_, member)]
    chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=4)) if names and depth < 9 else []
    return {name: draw(values(type_.fields[name].type, depth + 1)) for name in chosen}


def _travels(type_: Struct, member: Field) -> bool:
    return bool(member.tag) or (type_.inlined is not None and member.name in type_.inlined[1].fields)


@pytest.mark.parametrize("info", list(REGISTRY.all()), ids=lambda info: info.kind)
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_kind_goes_there_and_back(info: Any, data: Any) -> None:
    drawn = data.draw(values(info.schema)) | {"apiVersion": info.api_version, "kind": info.kind}
    obj = decode(drawn, info.schema).value
    body = encode_protobuf(obj, info.schema)
    back = decode_protobuf(body, REGISTRY)
    assert decode(back, info.schema).value == obj


def test_delete_options() -> None:
    schema = struct_of(DeleteOptions)
    options = {"gracePeriodSeconds": 0, "propagationPolicy": "Background", "preconditions": {"uid": "u"}}
    body = encode_protobuf(options, schema, api_version="v1", kind="DeleteOptions")
    assert decode_protobuf(body, REGISTRY, schema=schema) == options | {"apiVersion": "v1", "kind": "DeleteOptions"}


ROOT: Struct = Struct(
    "x.v1.Root",
    lambda: {
        "child": Field("child", ROOT, pointer=True, tag=1),
        "text": Field("text", Scalar("string"), tag=2, proto="string"),
        "numbers": Field("numbers", ListOf(Scalar("integer", "int64", "int64")), tag=3, proto="repeated int64"),
        "map": Field("map", MapOf(Scalar("string")), tag=4, proto="map<string, string>"),
        "raw": Field("raw", Anything(), tag=5, proto=".k8s.io.apimachinery.pkg.runtime.RawExtension"),
        "wait": Field("wait", Scalar("string"), tag=6, proto=".k8s.io.apimachinery.pkg.apis.meta.v1.Duration"),
    },
)


def test_packed_numbers_unknown_fields_and_later_values() -> None:
    assert decode_message(b"\x1a\x03\x01\x02\x03\x18\x04", ROOT) == {"numbers": [1, 2, 3, 4]}
    assert decode_message(b"\x12\x01a\x12\x01b\x7a\x01z\x78\x01", ROOT) == {"text": "b"}
    assert decode_message(b"\x0a\x03\x12\x01a\x0a\x02\x18\x05", ROOT) == {"child": {"text": "a", "numbers": [5]}}


@pytest.mark.parametrize("text", ["1h30m0s", "1.5s", "0s", "250ms", "-2m0s", "1µs", "100h0m0.5s"])
def test_durations(text: str) -> None:
    assert decode_message(encode_message({"wait": text}, ROOT), ROOT) == {"wait": text}


@pytest.mark.parametrize(
    "raw",
    [b"\x0a", b"\x0a\x05a", b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x12\x01\xff", b"\x10\x01", b"\x00",
     b"\x0b", b"\x18" + b"\xff" * 11, b"\x1a\x01\xff", b"\x2a\x03\x0a\x01{", b"\x22\x01\xff", b"\x09\x01"],
)  # fmt: skip
def test_malformed_messages_are_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        decode_message(raw, ROOT)


def test_nesting_is_bounded() -> None:
    raw = b""
    for _ in range(5000):
        size = len(raw)
        length = bytearray()
        while size > 0x7F:
            length.append(size & 0x7F | 0x80)
            size >>= 7
        length.append(size)
        raw = b"\x0a" + bytes(length) + raw
    with pytest.raises(Malformed, match="exceeded max depth"):
        decode_message(raw, ROOT)


@pytest.mark.parametrize("body", [b"", b"{}", b"k8s\x00\xff", b"k8s\x00", b"k8s\x00\x0a\x02\x12\xff"])
def test_bad_envelopes_are_a_400(body: bytes) -> None:
    with pytest.raises(StatusError) as refused:
        decode_protobuf(body, REGISTRY)
    assert refused.value.code == 400


@given(st.sampled_from(sorted(BODIES)), st.integers(0, 300), st.integers(0, 255), st.integers(0, 300))
@settings(max_examples=600, deadline=None)
def test_a_damaged_body_is_decoded_or_refused(command: str, position: int, byte: int, cut: int) -> None:
    body = bytearray(BODIES[command])
    body[position % len(body)] = byte
    try:
        decode_protobuf(bytes(body[: len(body) - cut % 20]), REGISTRY, schema=ROOT)
    except StatusError as error:
        assert error.code == 400


@given(st.binary(max_size=80))
@settings(max_examples=600, deadline=None)
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    pod = REGISTRY.by_kind("", "v1", "Pod")
    assert pod is not None
    for schema in (ROOT, pod.schema):
        try:
            json.dumps(decode_message(raw, schema))
        except Malformed:
            continue


def test_the_schema_of_a_custom_resource_keeps_everything_that_json_says() -> None:
    schema = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "x-kubernetes-validations": [{"rule": "self.a > 1", "message": "small"}],
        "x-kubernetes-map-type": "atomic",
        "$ref": "#/a",
        "properties": {
            "list": {
                "type": "array",
                "items": {"type": "object", "properties": {"k": {"type": "string"}}},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
            },
            "several": {"items": [{"type": "string"}, {"type": "integer"}]},
            "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "object": {"type": "object", "x-kubernetes-embedded-resource": True, "default": {"a": [1, None, "x"]}},
            "closed": {"type": "object", "additionalProperties": False},
            "open": {"type": "object", "additionalProperties": True},
            "map": {"type": "object", "additionalProperties": {"type": "string", "enum": ["a", 1]}},
        },
        "dependencies": {"a": ["b", "c"], "d": {"type": "string"}},
    }
    info = REGISTRY.by_kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    assert info is not None
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    obj = {
        "kind": info.kind,
        "apiVersion": info.api_version,
        "metadata": {"name": "a"},
        "spec": {"versions": [version]},
    }
    assert decode_protobuf(encode_protobuf(obj, info.schema), REGISTRY) == obj
