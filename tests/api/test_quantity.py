"""Quantities read, round and print as upstream's do, and hostile ones are refused before any arithmetic."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.api import quantity
from tiphys.api.quantity import QuantityError, canonical, milli, parse_quantity, value

CANONICAL = [
    ("1000m", "1"),
    ("1024Mi", "1Gi"),
    ("1025Ki", "1025Ki"),
    ("0.5", "500m"),
    ("0.1Gi", "107374182400m"),
    ("1.5Gi", "1536Mi"),
    ("1e3", "1e3"),
    ("12E6", "12e6"),
    ("100000", "100k"),
    ("1u", "1u"),
    ("0", "0"),
    ("0Gi", "0"),
    ("-1500m", "-1500m"),
    ("512", "512"),
    ("512Ki", "512Ki"),
    ("+2", "2"),
]


@pytest.mark.parametrize(("text", "want"), CANONICAL)
def test_the_canonical_form_is_upstreams(text: str, want: str) -> None:
    assert canonical(text) == want


@pytest.mark.parametrize(
    ("text", "units", "thousandths"),
    [("1", 1, 1000), ("1500m", 2, 1500), ("1.1Ki", 1127, 1126400), ("1n", 1, 1), ("-1500m", -1, -1500)],
)
def test_value_and_milli_round_up(text: str, units: int, thousandths: int) -> None:
    assert (value(text), milli(text)) == (units, thousandths)


HOSTILE = ["", "abc", "1.2.3", "1e999999", "1E400Ki", "9" * 1_000_000, "1e-999999", "--1", ".", "1 ", "\u0661", "1Kx"]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:12] or "empty")
def test_a_hostile_quantity_is_refused_at_once(text: str) -> None:
    before = time.thread_time()
    with pytest.raises(QuantityError):
        parse_quantity(text)
    assert time.thread_time() - before < 0.5


def test_a_value_beyond_int64_is_capped_as_upstream_caps_it() -> None:
    assert parse_quantity("100E") == Decimal(2**63 - 1)


@given(st.integers(-(10**15), 10**15), st.sampled_from(["", "m", "k", "Ki", "Mi", "M"]))
def test_the_canonical_form_means_the_same(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    assert parse_quantity(canonical(text)) == parse_quantity(text)
    assert canonical(canonical(text)) == canonical(text)


@given(st.text(max_size=40))
def test_any_text_gives_a_number_or_a_quantity_error(text: str) -> None:
    try:
        parse_quantity(text)
    except QuantityError as error:
        assert str(error) in (quantity.FORMAT_ERROR, quantity.SUFFIX_ERROR)
