"""One spelling of every path, and no path that two servers would read differently."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.ingress.paths import AmbiguousPath, canonical, canonical_rule

SPELLINGS = [
    ("/", "/"),
    ("/a/b", "/a/b"),
    ("/a/b/", "/a/b/"),
    ("//a///b", "/a/b"),
    ("/a/./b", "/a/b"),
    ("/a/../b", "/b"),
    ("/../../etc/passwd", "/etc/passwd"),
    ("/a/..", "/"),
    ("/a/b/..", "/a/"),
    ("/a/b/.", "/a/b/"),
    ("/%61dmin", "/admin"),
    ("/%2e%2e/admin", "/admin"),
    ("/a/%2E%2e/%2e/b", "/b"),
    ("/a%2fb", "/a%2Fb"),
    ("/a%20b", "/a%20b"),
    ("/a%3fb", "/a%3Fb"),
    ("/.well-known/x", "/.well-known/x"),
    ("/a..b/...", "/a..b/..."),
    ("/a;v=1/b", "/a;v=1/b"),
]


@pytest.mark.parametrize(("path", "spelling"), SPELLINGS)
def test_a_path_has_one_spelling(path: str, spelling: str) -> None:
    assert canonical(path) == spelling


AMBIGUOUS = ["", "a", "*", "/a\\..\\b", "/a%00b", "/a%2f..%2fadmin", "/a/..%2fadmin", "/a/..%5cadmin", "/..;/admin"]
AMBIGUOUS += ["/a%", "/a%4", "/a%zz", "/a b", "/a\x7f", "/\xe9", "/a#b", "/a%5C%2e%2e/b"]


@pytest.mark.parametrize("path", AMBIGUOUS)
def test_what_servers_read_differently_is_refused(path: str) -> None:
    with pytest.raises(AmbiguousPath):
        canonical(path)


@given(st.text(alphabet="/.%2eEfF5cC;ab", max_size=24))
def test_a_spelling_is_stable_and_has_no_dots_to_resolve(path: str) -> None:
    try:
        spelling = canonical("/" + path)
    except AmbiguousPath:
        return
    assert canonical(spelling) == spelling
    assert "//" not in spelling and not {".", ".."} & set(spelling.split("/"))


@pytest.mark.parametrize(
    ("rule", "spelling"), [("", "/"), ("/a b", "/a%20b"), ("/é", "/%C3%A9"), ("/%7euser", "/~user")]
)
def test_a_rule_is_spelled_as_requests_are(rule: str, spelling: str) -> None:
    assert canonical_rule(rule) == spelling
