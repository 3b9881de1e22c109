"""The rules of the house that a tool off the shelf does not check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("tiphys", "apiserver", "scheduler", "controllers", "nodeagent")
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc"}
MAX_LINES = 400


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


MODULES = list(modules())


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "a module starts with a docstring"


def test_names_say_what_is_inside() -> None:
    assert [relative(path) for path in MODULES if path.stem in FORBIDDEN_NAMES] == []


def test_rooms_are_small() -> None:
    large = {relative(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: lines for name, lines in large.items() if lines > MAX_LINES} == {}


FORBIDDEN_CALLS = {
    ("time", "time"): "take a Clock",
    ("datetime", "now"): "take a Clock",
    ("datetime", "utcnow"): "take a Clock",
    ("tarfile", "extractall"): "unpack through nodeagent.safepath",
    ("os", "system"): "use asyncio subprocesses with a list of arguments",
}
CLOCK = ROOT / "tiphys" / "clock.py"


def forbidden_calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            owner_name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
            if advice := FORBIDDEN_CALLS.get((owner_name, node.func.attr)):
                yield f"{relative(path)}:{node.lineno} {owner_name}.{node.func.attr}: {advice}"
            if node.func.attr == "extractall":
                yield f"{relative(path)}:{node.lineno} extractall: unpack through nodeagent.safepath"


def test_time_and_files_go_through_their_modules() -> None:
    assert [found for path in MODULES if path != CLOCK for found in forbidden_calls(path)] == []


LINK = re.compile(r"`([\w.-]+(?:/[\w.-]+)+/?)`")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_documents_name_files_that_exist(document: Path) -> None:
    named = [
        name
        for name in LINK.findall(document.read_text())
        if name.split("/")[0] in {*PACKAGES, "tests", "docs", "manifests"}
    ]
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_tests_mirror_the_packages() -> None:
    """A test file lives in the folder of the package it tests."""
    rooms = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    mirrors = {"api", "client", "cli", "apiserver", "storage", "controllers", "scheduler", "nodeagent"}
    kinds = {"house", "golden", "clients", "scenarios", "chaos", "benchmarks", "conformance", "data", "fuzz", "agnhost"}
    assert rooms <= mirrors | kinds


def test_sources_name_no_machine() -> None:
    """No path of the machine the code was written on, and no working arrangement, is part of the project."""
    pattern = re.compile("/work" + "/(main|shared)|/shared" + "/reference")
    texts = [*MODULES, *sorted((ROOT / "tests").rglob("*.py")), *DOCUMENTS, ROOT / "Makefile"]
    assert [relative(path) for path in texts if pattern.search(path.read_text())] == []
