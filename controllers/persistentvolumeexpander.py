"""Claims that ask for more than they have: volumes of our own class grow, others are left to whoever made them.

The directories of our own class have no size, so that growing is writing the number down, first on the volume, then on
the claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from controllers.localpath import is_ours
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.volume_binding import capacity, claim_class, is_fully_bound, requested
from tiphys.api.quantity import parse_quantity
from tiphys.api.storage.storageclass import StorageClass
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes

SOURCE = "volume_expand"


def wants_more(claim: PersistentVolumeClaim) -> bool:
    """A bound claim whose request is above what its status says it has."""
    held = claim.status.capacity.get("storage", "0")
    return is_fully_bound(claim) and claim.status.phase == "Bound" and requested(claim) > parse_quantity(held)


class PersistentVolumeExpander(Controller):
    name: ClassVar = "persistentvolume-expander-controller"
    kind = PersistentVolumeClaim
    reads = (PersistentVolume, StorageClass)
    writes = (Writes(PersistentVolume, ("patch",)), Writes(PersistentVolumeClaim, ("patch",), "status"))
    workers = 2

    def setup(self) -> None:
        self.on(PersistentVolume, self._of_volume)

    def _of_volume(self, volume: PersistentVolume) -> Iterable[Key]:
        reference = volume.spec.claimRef
        if reference is not None and is_ours(volume):
            yield Key(reference.namespace, reference.name)

    async def reconcile(self, key: Key) -> float | None:
        claim = self.cache(PersistentVolumeClaim).get(*key)
        if claim is None or not wants_more(claim):
            return None
        volume = self.cache(PersistentVolume).get("", claim.spec.volumeName)
        reference = volume.spec.claimRef if volume is not None else None
        if volume is None or reference is None or reference.uid != claim.metadata.uid:
            return None
        found = self.cache(StorageClass).get("", claim_class(claim))
        if not is_ours(volume) or found is None or not found.allowVolumeExpansion:
            text = "waiting for an external controller to expand this PVC"
            self.events.event(claim, "Normal", "ExternalExpanding", text, source=SOURCE)
            return None
        await self._expand(claim, volume)
        return None

    async def _expand(self, claim: PersistentVolumeClaim, volume: PersistentVolume) -> None:
        meta, size = claim.metadata, {"storage": claim.spec.resources.requests["storage"]}
        if capacity(volume) < requested(claim):
            change = {"metadata": {"resourceVersion": volume.metadata.resourceVersion}, "spec": {"capacity": size}}
            await self.client.patch(PersistentVolume, volume.metadata.name, "", change)
        status = {"metadata": {"uid": meta.uid}, "status": {"capacity": size}}
        await self.client.patch(PersistentVolumeClaim, meta.name, meta.namespace, status, subresource="status")
        text = f"ExpandVolume succeeded for volume {meta.namespace}/{meta.name}"
        self.events.event(claim, "Normal", "VolumeResizeSuccessful", text, source=SOURCE)
