"""Manifests: every object with its place, and a clear word about the first thing that is wrong."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tiphys.cli.errors import CommandError
from tiphys.cli.manifests import MAX_BYTES, read_manifests

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


def _file(directory: Path, text: str, name: str = "app.yaml") -> str:
    path = directory / name
    path.write_text(text)
    return str(path)


def test_documents_and_lists_become_objects_with_places(tmp_path: Path) -> None:
    path = _file(tmp_path, MAP % "a" + "---\n# nothing\n---\nkind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, "
                           "kind: ConfigMap, metadata: {name: b, namespace: x}}\n")  # fmt: skip
    found = read_manifests([path])
    assert [(item.name, item.namespace) for item in found] == [("a", ""), ("b", "x")]
    assert found[0].place == f"{path} document 1 line 1"
    assert found[1].place == f"{path} document 3 line 7 items[0]"


def test_a_directory_is_read_in_order_and_only_deeper_when_asked(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.json", "notes.txt"):
        _file(tmp_path, json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name[0]}}), name)
    (tmp_path / "deeper").mkdir()
    _file(tmp_path / "deeper", MAP % "d", "d.yaml")
    assert [item.name for item in read_manifests([str(tmp_path)])] == ["a", "b", "c"]
    assert [item.name for item in read_manifests([str(tmp_path)], recursive=True)] == ["a", "b", "c", "d"]


def test_standard_input_is_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((MAP % "a").encode())))
    assert read_manifests(["-"])[0].place == "standard input document 1 line 1"


def test_a_repeated_key_is_reported_with_its_line(tmp_path: Path) -> None:
    repeated: list[str] = []
    path = _file(tmp_path, MAP % "a" + "data:\n  k: one\n  k: two\n")
    found = read_manifests([path], repeated=repeated)
    assert found[0].object["data"] == {"k": "two"}
    assert repeated == [f'{path} line 6: key "k" already set in map']


_BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
BAD = [
    ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: u\ndata: x\n", "document 1 line 4"),
    (MAP % "a" + "---\n\tkind: x\n", "document 2 line 5"),
    ("kind: ConfigMap\nmetadata: {name: a}\n", "document 1 line 1: apiVersion is not set"),
    ("apiVersion: v1\nkind: 3\nmetadata: {name: a}\n", "document 1 line 1: kind is not set"),
    ("apiVersion: v1\nkind: ConfigMap\n", "document 1 line 1: metadata is not set"),
    ("just text\n", "document 1 line 1: a manifest is a mapping"),
    ("- a\n- b\n", "document 1 line 1: a manifest is a mapping"),
    (MAP % "bomb" + _BOMB, "excessive aliasing"),
    ("a: !!python/object/apply:os.system [id]\n", "unsupported tag"),
    ("apiVersion: v1\nkind: List\nitems: [5]\n", "items[0]: a manifest is a mapping"),
    ("", "no objects"),
    ("---\n---\n", "no objects"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_is_wrong_is_named_with_file_document_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(CommandError) as caught:
        read_manifests([path])
    assert path in str(caught.value)
    assert message in str(caught.value)


def test_a_file_that_is_too_large_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES * 100)
    with pytest.raises(CommandError, match="larger than"):
        read_manifests([str(path)])


def test_a_missing_file_and_an_empty_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="does not exist"):
        read_manifests([str(tmp_path / "nope.yaml")])
    with pytest.raises(CommandError, match="recognized file extensions"):
        read_manifests([str(tmp_path)])


def test_a_url_nobody_answers_is_named() -> None:
    with pytest.raises(CommandError, match=r"http://127\.0\.0\.1:1/app\.yaml"):
        read_manifests(["http://127.0.0.1:1/app.yaml"])
