"""Protobuf bodies: every length lies, every tag is another, every string is no string."""

from __future__ import annotations

import json
import random

from tests.fuzz.fuzzing import PIECES, fuzz, golden_objects, mutated_bytes
from tests.fuzz.generating import REGISTRY, an_object
from tiphys.api.decode import decode
from tiphys.api.defaults import apply_defaults
from tiphys.api.protobuf import MAGIC, decode_protobuf, encode_protobuf
from tiphys.api.status import StatusError


def bodies() -> list[bytes]:
    """Messages of many kinds, encoded from what their decoder accepts."""
    source, found = random.Random(7), []
    objects = [an_object(info, source) for info in REGISTRY.all() for _ in range(4)] + golden_objects()[::4]
    for obj in objects:
        group, _, version = obj["apiVersion"].rpartition("/")
        info = REGISTRY.by_kind(group, version, obj["kind"])
        if info is None:
            continue
        try:
            value = decode(obj, info.schema, kind_label=info.kind).value
            apply_defaults(value, info.schema)
            found.append(encode_protobuf(value, info.schema, api_version=info.api_version, kind=info.kind))
        except (StatusError, ValueError):
            continue
    return found


def parse(body: bytes) -> None:
    value = decode_protobuf(body, REGISTRY)
    group, _, version = value.get("apiVersion", "").rpartition("/")
    info = REGISTRY.by_kind(group, version, value.get("kind", ""))
    if info is not None:
        json.dumps(decode(value, info.schema, kind_label=info.kind)).encode()


def test_a_protobuf_body() -> None:
    corpus = bodies()
    assert len(corpus) > 50, "control: messages to start from"
    nested = MAGIC + b"\x12\xff\xff\xff\xff\x0f" + b"\x0a" * 1000
    fuzz(parse, mutated_bytes(corpus, [*PIECES[:12], "\x0a\x01", "\x12\x00", "\x80" * 12]), known=[nested, MAGIC, b""])
