"""TIPHYS_FUZZ_PART=1/2: this process takes every second parser, another one the others."""

from __future__ import annotations

import os

import pytest

from tests.fuzz.fuzzing import PARSERS

_PART = os.environ.get("TIPHYS_FUZZ_PART", "1/1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    part, parts = (int(number) for number in _PART.split("/"))
    place = {module: number for number, modules in enumerate(PARSERS.values()) for module in modules}
    kept, left = [], []
    for item in items:
        here = item.path.parent.name == "fuzz"
        mine = not here or place.get(item.path.stem, 0) % parts == part - 1
        (kept if mine else left).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept
