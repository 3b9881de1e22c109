"""PersistentVolumeClaimResize: a claim may ask for more only when it is bound and its class lets volumes grow."""

from __future__ import annotations

from typing import Any

from apiserver.admission import Attributes, Plugin
from apiserver.resources import Resources
from tiphys.api.quantity import parse_quantity

_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"


class PersistentVolumeClaimResize(Plugin):
    kinds = frozenset({("", "persistentvolumeclaims")})

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def validate(self, attributes: Attributes) -> None:
        new, old = attributes.obj, attributes.old
        if attributes.operation != "UPDATE" or attributes.subresource or new is None or old is None:
            return
        if not attributes.is_for("", "persistentvolumeclaims") or _size(new) <= _size(old):
            return
        if old.get("status", {}).get("phase") != "Bound":
            raise attributes.refuse("Only bound persistent volume claims can be expanded")
        if not self._may_grow(new):
            raise attributes.refuse(
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
                "support resize"
            )

    def _may_grow(self, claim: dict[str, Any]) -> bool:
        annotated = (claim["metadata"].get("annotations") or {}).get(_OLD_CLASS)
        name = annotated or claim["spec"].get("storageClassName", "")
        found = self._resources.peek("storage.k8s.io", "storageclasses", "", name) if name else None
        return bool(found and found.get("allowVolumeExpansion"))


def _size(claim: dict[str, Any]) -> Any:
    return parse_quantity(claim.get("spec", {}).get("resources", {}).get("requests", {}).get("storage", "0"))
