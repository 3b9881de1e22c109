"""Label selectors, field selectors and the selectors inside objects."""

from __future__ import annotations

import random
from typing import Any

from tests.fuzz.fuzzing import PIECES, fuzz, mutated_text
from tests.fuzz.generating import generated
from tiphys.api.declaration import struct_of
from tiphys.api.decode import decode
from tiphys.api.meta import LabelSelector
from tiphys.api.selectors import (
    MAX_BYTES,
    SelectorError,
    from_label_selector,
    parse_field_selector,
    parse_label_selector,
)

LABELS = ["a=b", "a==b,c!=d", "x in (a,b),y notin (c)", "!a,b", "a>5,b<7", "example.com/a=b", "a in ()", "a=,b", ""]
FIELDS = ["metadata.name=a", "spec.nodeName!=n1,status.phase=Running", r"metadata.name=a\,b\=c\\", "a==b", ""]
OPERATORS = ("in", "notin", " in (", "=", "!=", ">", "<", "(", ")", ",", "\\", *PIECES)
SETS = ({}, {"a": "b"}, {"a": "9" * 5000, "b": "\u0663", "x": "a"}, {"example.com/a": ""})


def test_label_selectors() -> None:
    def parse(text: str) -> None:
        selector = parse_label_selector(text)
        for labels in SETS:
            selector.matches(labels)
        again = parse_label_selector(str(selector)) if len(str(selector)) < MAX_BYTES else selector
        assert all(again.matches(labels) == selector.matches(labels) for labels in SETS), str(selector)

    many = ",".join(f"k{i}=v" for i in range(8000))
    wide = "a in (" + ",".join("v" * 3 for _ in range(16000)) + ")"
    fuzz(
        parse, mutated_text(LABELS, OPERATORS), allowed=SelectorError, known=[many, wide, "a," * 500_000, "(" * 60_000]
    )


def test_field_selectors() -> None:
    known = ["a=b," * 16_000, "\\" * 60_000, "," * 60_000, "=" * 60_000]
    fuzz(parse_field_selector, mutated_text(FIELDS, OPERATORS), allowed=SelectorError, known=known)


def test_selectors_of_objects() -> None:
    schema = struct_of(LabelSelector)

    def parse(value: Any) -> None:
        selector = from_label_selector(decode(value, schema).value)
        for labels in SETS:
            selector.matches(labels)

    def make(source: random.Random) -> Any:
        return generated(schema, source)

    fuzz(parse, make, allowed=SelectorError)
