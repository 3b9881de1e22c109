"""DefaultStorageClass: a claim that says nothing about a class gets the one marked as default."""

from __future__ import annotations

from typing import Any

from apiserver.admission import Attributes, Plugin
from apiserver.resources import Resources

_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
_MARKS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


class DefaultStorageClass(Plugin):
    kinds = frozenset({("", "persistentvolumeclaims")})

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def mutate(self, attributes: Attributes) -> None:
        wanted = attributes.operation == "CREATE" and attributes.is_for("", "persistentvolumeclaims")
        if not wanted or attributes.subresource or attributes.obj is None:
            return
        spec = attributes.obj.setdefault("spec", {})
        if "storageClassName" in spec or _OLD_CLASS in (attributes.obj["metadata"].get("annotations") or {}):
            return
        name = self._default()
        if name:
            spec["storageClassName"] = name

    def _default(self) -> str:
        """Of several the newest, by name among equals; "" when there is none."""
        classes = self._resources.named("storage.k8s.io", "storageclasses")
        marked = sorted(
            (one["metadata"] for one in (classes.peek_all("") if classes else ()) if _is_default(one)),
            key=lambda meta: str(meta["name"]),
        )
        newest = max(marked, key=lambda meta: str(meta.get("creationTimestamp", "")), default={"name": ""})
        return str(newest["name"])


def _is_default(storage_class: dict[str, Any]) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return any(annotations.get(mark) == "true" for mark in _MARKS)
