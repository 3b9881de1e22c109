"""Server-side apply: bent configurations on bent objects whose managedFields were bent as well."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.fuzz.fuzzing import VALUES, fuzz, golden_objects, mutated_value
from tests.fuzz.generating import KINDS, REGISTRY, an_object
from tiphys.api.apply import server_side_apply, update_managed_fields
from tiphys.api.decode import decode
from tiphys.api.defaults import apply_defaults
from tiphys.api.kinds import KindInfo
from tiphys.api.status import StatusError

OWNED = (
    *VALUES, "FieldsV1", "Apply", "Update", {".": {}}, {"f:data": {"f:k": {}}}, {"f:": {}}, {"k:{}": {}}, {"v:1": {}},
    {"f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}}}}}, {'k:{"name":1e999}': {}},
    {"i:99999999999999999999": {}},
    {"i:-1": {}}, {"v:": {}}, {"v:[": {}}, {"k:[]": {}}, {"f:a": None}, {"x": {}}, {"f:a": 1}, {"i:\u00b2": {}},
    {"k:1": {}},
)  # fmt: skip
NAMES = ("fieldsV1", "manager", "operation", "time", "apiVersion", "subresource", "name", "f:spec", "f:data", "i:0")
Case = tuple[KindInfo, Any, Any, bool]
CASES: list[tuple[KindInfo, dict[str, Any]]] = []
for _obj in golden_objects():
    _group, _, _version = _obj["apiVersion"].rpartition("/")
    if (_info := REGISTRY.by_kind(_group, _version, _obj["kind"])) is not None:
        CASES.append((_info, _obj))


def make(source: random.Random) -> Case:
    if source.random() < 0.3:
        info = source.choice(KINDS)
        return info, an_object(info, source), an_object(info, source), source.random() < 0.5
    info, live = source.choice(CASES)
    related = [one for other, one in CASES if other is info]
    bend = mutated_value([live], OWNED, NAMES)
    return info, bend(source), mutated_value(related)(source), source.random() < 0.5


def parse(case: Case) -> None:
    info, live, patch, force = case
    common: dict[str, Any] = {"manager": "m", "api_version": info.api_version, "now": "2026-01-02T03:04:05Z"}
    if not isinstance(patch, dict):
        return
    stored = None
    try:
        stored = decode(live, info.schema, kind_label=info.kind).value
        apply_defaults(stored, info.schema)
        stored = update_managed_fields(None, stored, info.schema, **common)
    except StatusError:
        return
    metadata = patch.get("metadata")
    if not isinstance(metadata, dict):
        patch["metadata"] = {}
    patch["metadata"].pop("managedFields", None)
    merged = server_side_apply(stored, patch, info.schema, force=force, **common)
    new = decode(merged, info.schema, kind_label=info.kind).value
    json.dumps(update_managed_fields(stored, new, info.schema, **common))


def test_apply() -> None:
    fuzz(parse, make)
