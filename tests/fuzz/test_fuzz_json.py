"""JSON bodies: bytes to values, and values through the decoder of every kind."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.fuzz.fuzzing import fuzz, golden_objects, mutated_bytes, mutated_value
from tests.fuzz.generating import KINDS
from tiphys.api.decode import decode
from tiphys.api.json_body import load_json

BODIES = [json.dumps(obj).encode() for obj in golden_objects()]


def test_bytes_of_a_body() -> None:
    def parse(body: bytes) -> None:
        value, problems = load_json(body, find_duplicates=True, kind_label="Pod")
        json.dumps([value, problems]).encode()

    known = [b"[" * 100_000, b'{"a":' * 100_000, b"1e999", b'"\\ud800"', b"9" * 5000, b"-" + b"9" * 5000, b"NaN"]
    fuzz(parse, mutated_bytes(BODIES), known=known)


def test_values_of_a_body() -> None:
    make = mutated_value([json.loads(body) for body in BODIES])

    def parse(value: Any) -> None:
        source = random.Random(repr(value)[:64])
        info = source.choice(KINDS)
        json.dumps(decode(value, info.schema, kind_label=info.kind, version=info.version))

    fuzz(parse, make)
