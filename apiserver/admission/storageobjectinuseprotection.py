"""StorageObjectInUseProtection: a new claim or volume carries the finalizer that keeps it while it is used.

The protection controllers take the finalizer away; a cluster without them would never delete a claim.
"""

from __future__ import annotations

from apiserver.admission import Attributes, Plugin

FINALIZERS = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
}


class StorageObjectInUseProtection(Plugin):
    kinds = frozenset(("", plural) for plural in FINALIZERS)

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.operation != "CREATE" or attributes.subresource or attributes.obj is None:
            return
        for resource, finalizer in FINALIZERS.items():
            if attributes.is_for("", resource):
                finalizers = attributes.obj["metadata"].setdefault("finalizers", [])
                if finalizer not in finalizers:
                    finalizers.append(finalizer)
