"""A namespace begins with the finalizer that empties it; its metadata.name label cannot be lost."""

from typing import Any

JsonObject = dict[str, Any]


def prepare_for_create(namespace: JsonObject) -> None:
    namespace["status"] = {"phase": "Active"}
    spec = namespace.setdefault("spec", {})
    if "kubernetes" not in (spec.get("finalizers") or ()):
        spec["finalizers"] = [*(spec.get("finalizers") or ()), "kubernetes"]
    _label(namespace)


def prepare_for_update(new: JsonObject, old: JsonObject) -> None:
    spec = new.setdefault("spec", {})
    spec.pop("finalizers", None)
    if finalizers := old.get("spec", {}).get("finalizers"):
        spec["finalizers"] = finalizers
    _label(new)


def _label(namespace: JsonObject) -> None:
    metadata = namespace.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata.get("name", "")}


selectable_fields = {
    "status.phase": lambda namespace: str(namespace.get("status", {}).get("phase") or ""),
    "name": lambda namespace: str(namespace.get("metadata", {}).get("name") or ""),
}
