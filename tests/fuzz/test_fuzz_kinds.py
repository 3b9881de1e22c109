"""What follows a decoded body, for every kind: defaults, strategy, validation, ownership, the printed row."""

from __future__ import annotations

import copy
import random
from datetime import UTC, datetime
from typing import Any

from apiserver.registry import objectmeta
from tests.fuzz.fuzzing import fuzz, golden_objects, mutated_value
from tests.fuzz.generating import KINDS, REGISTRY, an_object
from tiphys.api.apply import update_managed_fields
from tiphys.api.decode import decode
from tiphys.api.defaults import apply_defaults
from tiphys.api.kinds import KindInfo
from tiphys.api.status import invalid_object
from tiphys.api.table import build_table, partial_metadata

NOW = datetime(2026, 1, 2, tzinfo=UTC)
Pair = tuple[KindInfo, Any, Any]


def finished(obj: Any, info: KindInfo) -> dict[str, Any]:
    value = decode(obj, info.schema, kind_label=info.kind, version=info.version).value
    value["kind"], value["apiVersion"] = info.kind, info.api_version
    value.setdefault("metadata", {})
    apply_defaults(value, info.schema)
    return value


def life(pair: Pair) -> None:
    """A create and an update as the verbs do them, without the server."""
    info, first, second = pair
    old = finished(first, info)
    common = {"manager": "fuzz", "api_version": info.api_version, "now": "2026-01-02T03:04:05Z"}
    old = update_managed_fields(None, old, info.schema, **common)
    objectmeta.fill_system_fields(old["metadata"], "2026-01-02T03:04:05Z")
    info.prepare_for_create(old)
    errors = objectmeta.validate_create(old, info) + info.validate(old)
    info.warnings(old)
    show(info, old)
    if errors:
        str(invalid_object(info.group, info.kind, "a", errors).to_dict())
        return
    for status in (False, True):
        new = finished(copy.deepcopy(second), info)
        objectmeta.keep_system_fields(new["metadata"], {"resourceVersion": "1", **old["metadata"]})
        new = update_managed_fields(old, new, info.schema, subresource="status" if status else "", **common)
        if status and info.has_status:
            info.prepare_status_update(new, old)
            errors = objectmeta.validate_update(new, old) + info.validate_status_update(new, old)
        else:
            info.prepare_for_update(new, old)
            errors = objectmeta.validate_update(new, old) + info.validate_update(new, old)
        show(info, new)
        str(invalid_object(info.group, info.kind, "a", errors).to_dict())


def show(info: KindInfo, obj: dict[str, Any]) -> None:
    build_table(info, [obj], {}, NOW, include_object="Object")
    partial_metadata(obj)
    for reader in info.selectable_fields.values():
        reader(obj)
    info.grace_period_seconds(obj, None)


def test_objects_made_from_the_schema() -> None:
    def make(source: random.Random) -> Pair:
        info = source.choice(KINDS)
        return info, an_object(info, source), an_object(info, source)

    fuzz(life, make)


def test_bent_golden_objects() -> None:
    known: list[tuple[KindInfo, Any]] = []
    for obj in golden_objects():
        group, _, version = obj["apiVersion"].rpartition("/")
        info = REGISTRY.by_kind(group, version, obj["kind"])
        if info is not None:
            known.append((info, obj))

    def make(source: random.Random) -> Pair:
        info, obj = source.choice(known)
        bend = mutated_value([obj])
        return info, bend(source), bend(source)

    fuzz(life, make, known=[(info, obj, obj) for info, obj in known])
