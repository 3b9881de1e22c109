"""Reading manifests: files, directories, URLs and standard input, as a list of objects that know where they stand."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tiphys.api.yaml import YamlError, load_documents
from tiphys.cli.errors import CommandError

SUFFIXES = (".yaml", ".yml", ".json")
MAX_BYTES = 32 * 1024 * 1024
URL_TIMEOUT_SECONDS = 30


class Manifest(NamedTuple):
    """One object; `place` is `app.yaml document 2 line 14`."""

    place: str
    object: dict[str, Any]

    @property
    def api_version(self) -> str:
        return str(self.object["apiVersion"])

    @property
    def kind(self) -> str:
        return str(self.object["kind"])

    @property
    def name(self) -> str:
        return str(self.object["metadata"].get("name") or "")

    @property
    def namespace(self) -> str:
        return str(self.object["metadata"].get("namespace") or "")


def read_manifests(
    sources: Sequence[str], *, recursive: bool = False, repeated: list[str] | None = None
) -> list[Manifest]:
    """Every object of every source, or a CommandError that names the place of the first thing that is wrong.

    Everything is read before anything is sent, so a broken document applies nothing.  Of a key that stands twice in a
    map the last value counts; each repetition adds a line with its place to `repeated`."""
    noted: list[str] = [] if repeated is None else repeated
    manifests = [manifest for source in sources for manifest in _read(source, recursive, noted)]
    if not manifests:
        raise CommandError(f"no objects found in {', '.join(sources)}")
    return manifests


def _read(source: str, recursive: bool, repeated: list[str]) -> Iterator[Manifest]:
    if source == "-":
        yield from _parse("standard input", _limited(sys.stdin.buffer.read(MAX_BYTES + 1), "standard input"), repeated)
    elif source.startswith(("http://", "https://")):
        yield from _parse(source, _fetch(source), repeated)
    else:
        for file in _files(Path(source), recursive):
            try:
                yield from _parse(str(file), _limited(_bytes(file), str(file)), repeated)
            except OSError as error:
                raise CommandError(f"{file}: {error.strerror}") from error


def _files(path: Path, recursive: bool) -> list[Path]:
    if not path.exists():
        raise CommandError(f'the path "{path}" does not exist')
    if not path.is_dir():
        return [path]
    found = path.rglob("*") if recursive else path.iterdir()
    files = sorted(file for file in found if file.suffix in SUFFIXES and file.is_file())
    if not files:
        raise CommandError(f"error reading [{path}]: recognized file extensions are [.json .yaml .yml]")
    return files


def _bytes(file: Path) -> bytes:
    """At most one byte more than is allowed, so that an endless file is refused too."""
    with file.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _fetch(url: str) -> bytes:
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=URL_TIMEOUT_SECONDS) as answer:
            return _limited(answer.read(MAX_BYTES + 1), url)
    except (OSError, ValueError) as error:
        raise CommandError(f'unable to read URL "{url}": {getattr(error, "reason", error)}') from error


def _limited(text: bytes, place: str) -> bytes:
    if len(text) > MAX_BYTES:
        raise CommandError(f"{place}: larger than {MAX_BYTES} bytes")
    return text


def _parse(place: str, text: bytes, repeated: list[str]) -> Iterator[Manifest]:
    keys: list[str] = []
    try:
        for document in load_documents(text, duplicates=keys):
            if document.value is not None:
                where = f"{place} document {document.number} line {document.line}"
                yield from _objects(where, document.value)
    except YamlError as error:
        raise CommandError(f"{place} document {error.document} line {error.line}: {error.problem}") from error
    repeated += [f"{place} {problem}" for problem in keys]


def _objects(place: str, value: object) -> Iterator[Manifest]:
    if not isinstance(value, dict):
        raise CommandError(f"{place}: a manifest is a mapping, this is a {type(value).__name__}")
    for field in ("apiVersion", "kind"):
        if not isinstance(value.get(field), str) or not value[field]:
            raise CommandError(f"{place}: {field} is not set; every object needs apiVersion and kind")
    if value["kind"] == "List" and value["apiVersion"] == "v1":
        for number, item in enumerate(value.get("items") or []):
            yield from _objects(f"{place} items[{number}]", item)
        return
    if not isinstance(value.get("metadata"), dict):
        raise CommandError(f"{place}: metadata is not set; every object needs metadata.name")
    yield Manifest(place, value)
