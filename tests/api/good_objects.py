"""Good objects, and what the server finds in a changed one: for the tables of refusals."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from tests.api.test_validation import DELETE, with_change
from tiphys.api.decode import decode
from tiphys.api.defaults import apply_defaults
from tiphys.api.kinds import KindInfo, builtin_registry
from tiphys.api.yaml import load_documents

__all__ = ["DELETE", "GOOD", "UID", "changed", "prepared", "refused", "refused_change"]

REGISTRY = builtin_registry()
UID = "6f1be8fe-6100-47ea-8970-18f25eac1f25"
_FILE = Path(__file__).parent.parent / "data" / "good_objects.yaml"
GOOD: dict[str, dict[str, Any]] = {
    document.value["kind"]: document.value for document in load_documents(_FILE.read_bytes())
}

Change = tuple[str, Any]
"""(path, value): see `with_change`."""


def changed(kind: str, *changes: Change) -> dict[str, Any]:
    obj = GOOD[kind]
    for path, value in changes:
        obj = with_change(obj, path, value)
    return obj


def prepared(obj: dict[str, Any]) -> tuple[KindInfo, dict[str, Any]]:
    """The object as it is when the server validates a create."""
    info = REGISTRY.by_api_version(obj["apiVersion"], obj["kind"])
    assert info is not None
    value = decode(deepcopy(obj), info.schema).value
    value["kind"], value["apiVersion"] = info.kind, info.api_version
    apply_defaults(value, info.schema)
    value["metadata"]["uid"] = UID
    info.prepare_for_create(value)
    return info, value


def refused(kind: str, *changes: Change) -> list[str]:
    """What is said against creating the changed object."""
    info, value = prepared(changed(kind, *changes))
    return [str(error) for error in info.validate(value)]


def refused_change(kind: str, *changes: Change) -> list[str]:
    """What is said against turning the good object into the changed one."""
    info, old = prepared(GOOD[kind])
    new = deepcopy(old)
    for path, value in changes:
        new = with_change(new, path, value)
    info.prepare_for_update(new, old)
    return [str(error) for error in info.validate_update(new, old)]
