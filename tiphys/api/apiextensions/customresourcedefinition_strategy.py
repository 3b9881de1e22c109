"""What a write does to a definition: the versions objects may be stored in are remembered, and never forgotten here."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]


def _storage_version(definition: JsonObject) -> str:
    versions = definition.get("spec", {}).get("versions") or ()
    return next((version.get("name", "") for version in versions if version.get("storage")), "")


def prepare_for_create(obj: JsonObject) -> None:
    storage = _storage_version(obj)
    if storage:
        obj.setdefault("status", {})["storedVersions"] = [storage]


def prepare_for_update(new: JsonObject, old: JsonObject) -> None:
    storage = _storage_version(new)
    status = dict(new.get("status") or {})
    stored = list(status.get("storedVersions") or ())
    if storage and storage not in stored:
        status["storedVersions"] = [*stored, storage]
        new["status"] = status
