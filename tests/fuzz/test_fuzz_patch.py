"""JSON patch, merge patch and strategic merge patch: on real objects, with patches bent out of shape."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.fuzz.fuzzing import VALUES, fuzz, golden_objects, mutated_value
from tests.fuzz.generating import REGISTRY
from tiphys.api.json_body import DEPTH_LIMIT, is_deeper_than
from tiphys.api.kinds import KindInfo
from tiphys.api.patch_json import json_patch, load_json_patch
from tiphys.api.patch_merge import merge_patch
from tiphys.api.patch_strategic import strategic_merge

OBJECTS = [obj for obj in golden_objects() if "spec" in obj or "data" in obj]
OPERATIONS = ("add", "remove", "replace", "move", "copy", "test", "x", None, 1)
DIRECTIVES = ("$patch", "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "name")
DIRECTIVE_VALUES = (
    *VALUES, "delete", "replace", "merge", [{"name": "c"}], [{"$patch": "replace"}], [{"$patch": "delete",
    "name": "c"}],
    ["name", "image"], [{"name": {}}], [{"name": []}], [{"name": None}], {"containers": [1]}, [[{"name": "c"}]],
)  # fmt: skip


def _pointer(doc: Any, source: random.Random) -> Any:
    parts: list[str] = []
    while isinstance(doc, dict | list) and doc and source.random() < 0.85:
        key = source.choice(list(doc) if isinstance(doc, dict) else range(len(doc)))
        parts.append(str(key).replace("~", "~0").replace("/", "~1"))
        doc = doc[key]
    tail = source.choice(("", "", "", "/-", "/0", "/-1", "/\u00b2", "/~", "/~2", "//", "/" + "9" * 5000, "/x"))
    return source.choice(("", "", "", "", "x", None, 5)) or "".join("/" + part for part in parts) + tail


def _operation(doc: Any, source: random.Random) -> Any:
    made: dict[str, Any] = {"op": source.choice(OPERATIONS), "path": _pointer(doc, source)}
    if source.random() < 0.7:
        made["value"] = source.choice(VALUES)
    if source.random() < 0.5:
        made["from"] = _pointer(doc, source)
    return made if source.random() < 0.98 else source.choice(VALUES)


def test_json_patch() -> None:
    def make(source: random.Random) -> tuple[Any, bytes]:
        doc = source.choice(OBJECTS)
        operations: Any = [_operation(doc, source) for _ in range(source.choice((0, 1, 1, 2, 5, 30)))]
        return doc, json.dumps(operations if source.random() < 0.98 else source.choice(VALUES)).encode()

    def parse(given: tuple[Any, bytes]) -> None:
        operations, _ = load_json_patch(given[1])
        assert not is_deeper_than(json_patch(given[0], operations), DEPTH_LIMIT + 1)

    doubling = [
        {"op": "add", "path": "/a", "value": ["x" * 1000]},
        *[{"op": "copy", "from": "/a", "path": "/a/-"}] * 60,
    ]
    many = [{"op": "test", "path": "/kind", "value": "x"}] * 10_001
    fuzz(parse, make, known=[(OBJECTS[0], json.dumps(one).encode()) for one in (doubling, many)])


def test_merge_patch() -> None:
    bend = mutated_value(OBJECTS)

    def parse(given: tuple[Any, Any]) -> None:
        json.dumps(merge_patch(*given))

    fuzz(parse, lambda source: (source.choice(OBJECTS), bend(source)))


def test_strategic_merge_patch() -> None:
    kinds: list[tuple[KindInfo, Any]] = []
    for obj in OBJECTS:
        group, _, version = obj["apiVersion"].rpartition("/")
        if (info := REGISTRY.by_kind(group, version, obj["kind"])) is not None:
            kinds.append((info, obj))

    def make(source: random.Random) -> tuple[KindInfo, Any, Any]:
        info, obj = source.choice(kinds)
        related = [one for other, one in kinds if other is info]
        bend = mutated_value(related, DIRECTIVE_VALUES, DIRECTIVES)
        return info, mutated_value([obj])(source), bend(source)

    def parse(given: tuple[KindInfo, Any, Any]) -> None:
        info, doc, patch = given
        if isinstance(doc, dict):
            json.dumps(strategic_merge(doc, patch, info.schema))

    fuzz(parse, make)
