"""Every list and map of every kind with two thousand elements: what an object costs grows with it, not faster."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fuzz.generating import KINDS
from tests.fuzz.test_fuzz_kinds import life
from tiphys.api.kinds import KindInfo
from tiphys.api.schema import ListOf, MapOf, Scalar, Struct, Type
from tiphys.api.status import StatusError

COUNT = 2000
LIMIT_SECONDS = 0.5  # a square would take several; the slowest kind takes 0.15
DEEPEST = 5
Path = tuple[str, ...]
FORMATS = {"quantity": "1", "date-time": "2026-01-02T03:04:05Z", "micro-time": "2026-01-02T03:04:05Z", "byte": "aGk="}


def wide_places(
    struct: Struct, above: tuple[Struct, ...] = (), path: Path = ()
) -> Iterator[tuple[Path, ListOf | MapOf]]:
    for name, field in struct.fields.items():
        type_ = field.type
        if isinstance(type_, ListOf | MapOf):
            yield (*path, name), type_
        inner = type_.items if isinstance(type_, ListOf) else type_
        if isinstance(inner, Struct) and inner not in above and len(path) < DEEPEST:
            yield from wide_places(inner, (*above, inner), (*path, name if isinstance(type_, Struct) else f"{name}[]"))


def element(type_: Type, number: int) -> Any:
    if isinstance(type_, Struct):
        return {"name": f"n{number}"} if "name" in type_.fields else {}
    if isinstance(type_, Scalar):
        by_type = {"string": f"a{number}", "integer": number, "boolean": True, "number": 1.5}
        return FORMATS.get(type_.format, 80 if type_.format == "int-or-string" else by_type[type_.type])
    return [] if isinstance(type_, ListOf) else {}


def wide_object(info: KindInfo, path: Path, type_: ListOf | MapOf) -> dict[str, Any]:
    obj: dict[str, Any] = {"metadata": {"name": "a", **({"namespace": "default"} if info.namespaced else {})}}
    node = obj
    for name in path[:-1]:
        node = node.setdefault(name[:-2], [{}])[0] if name.endswith("[]") else node.setdefault(name, {})
    if isinstance(type_, ListOf):
        node[path[-1]] = [element(type_.items, number) for number in range(COUNT)]
    else:
        node[path[-1]] = {f"k{number}": element(type_.values, number) for number in range(COUNT)}
    return obj


def life_seconds(info: KindInfo, obj: dict[str, Any]) -> float:
    """Processor time of one life, without collections of the test process's whole heap."""
    gc.disable()
    started = time.thread_time()
    try:
        with contextlib.suppress(StatusError):
            life((info, obj, obj))
        return time.thread_time() - started
    finally:
        gc.enable()


@pytest.mark.parametrize("info", KINDS, ids=lambda info: f"{info.group}/{info.kind}")
def test_no_list_or_map_is_judged_in_quadratic_time(info: KindInfo) -> None:
    slow = {}
    seen: set[int] = set()
    for path, type_ in wide_places(info.schema):
        if id(type_) in seen or (path[0] == "metadata" and info.kind != "Pod"):
            continue
        seen.add(id(type_))
        obj = wide_object(info, path, type_)
        spent = life_seconds(info, obj)
        if spent > LIMIT_SECONDS:
            spent = min(spent, life_seconds(info, obj))
        if spent > LIMIT_SECONDS:
            slow[".".join(path)] = round(spent, 2)
    assert not slow
