"""Label and field selectors select what upstream's select, and refuse what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.api.selectors import (
    EVERYTHING,
    NOTHING,
    SelectorError,
    from_label_selector,
    parse_field_selector,
    parse_label_selector,
)

LABELS = {"app": "web", "tier": "front", "n": "5", "empty": ""}

MATCHES = [
    ("", True),
    ("app=web", True),
    ("app==web", True),
    ("app!=web", False),
    ("missing!=x", True),
    ("app in (web, api)", True),
    ("app notin (web,api)", False),
    ("missing notin (x)", True),
    ("app", True),
    ("!app", False),
    ("!missing", True),
    ("n>4", True),
    ("n<5", False),
    ("app>4", False),
    ("empty=", True),
    ("app=", False),
    ("empty in ()", True),
    ("app=web,tier=back", False),
    ("example.com/x", False),
]


@pytest.mark.parametrize(("text", "want"), MATCHES)
def test_a_selector_matches(text: str, want: bool) -> None:
    assert parse_label_selector(text).matches(LABELS) is want


BAD = ["a=b,", ",a=b", "a in b", "a in (b", "a=(", "a b", "!", "a/b/c=d", "a=b c", "a=-x-", "n>x", "=a", "a" * 70_000]


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:10])
def test_a_bad_selector_is_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_label_selector(text)


@given(st.text(max_size=60))
def test_any_text_is_a_selector_or_an_error(text: str) -> None:
    try:
        selector = parse_label_selector(text)
    except SelectorError:
        return
    assert parse_label_selector(str(selector)) == selector


def test_an_absent_label_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert from_label_selector(None) == NOTHING
    assert from_label_selector({}) == EVERYTHING
    expression = {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}
    assert from_label_selector(expression).matches(LABELS)
    with pytest.raises(SelectorError, match='"Near" is not a valid label selector operator'):
        from_label_selector({"matchExpressions": [{"key": "x", "operator": "Near"}]})


def test_field_selectors_have_terms_and_escapes() -> None:
    terms = parse_field_selector(r"spec.nodeName=n1,status.phase!=Running,a==b\,c")
    assert terms == [("spec.nodeName", "=", "n1"), ("status.phase", "!=", "Running"), ("a", "=", "b,c")]
    assert parse_field_selector("") == []
    assert parse_field_selector("a=b,") == [("a", "=", "b")]
    with pytest.raises(SelectorError, match=r"can't understand 'spec\.nodeName'"):
        parse_field_selector("spec.nodeName")
