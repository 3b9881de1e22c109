"""Volumes and claims in use: a deleted claim goes when no pod uses it any more, a deleted volume when it is not bound.

The API server puts the finalizers on (admission plugin StorageObjectInUseProtection); these controllers take them off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from controllers.podgc import has_ended
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
CLAIM_INDEX = "claim"


def claims_of(pod: Pod) -> list[str]:
    """namespace/name of the claims a pod uses; those of ephemeral volumes are named after the pod."""
    names = []
    for volume in pod.spec.volumes:
        if volume.persistentVolumeClaim is not None:
            names.append(volume.persistentVolumeClaim.claimName)
        elif volume.ephemeral is not None:
            names.append(f"{pod.metadata.name}-{volume.name}")
    return [f"{pod.metadata.namespace}/{name}" for name in names]


def in_use(pods: Sequence[Pod]) -> bool:
    """A pod that has ended uses nothing; one that no node has yet may still start."""
    return any(not has_ended(pod) for pod in pods)


def without(finalizers: Sequence[str], finalizer: str) -> list[str]:
    return [one for one in finalizers if one != finalizer]


class PVCProtectionController(Controller):
    name: ClassVar = "persistentvolumeclaim-protection-controller"
    kind = PersistentVolumeClaim
    reads = (Pod,)
    writes = (Writes(PersistentVolumeClaim, ("patch",)),)

    def setup(self) -> None:
        self.cache(Pod).add_index(CLAIM_INDEX, claims_of)
        self.on(Pod, lambda pod: (Key(*text.split("/", 1)) for text in claims_of(pod)))

    async def reconcile(self, key: Key) -> float | None:
        claim = self.cache(PersistentVolumeClaim).get(*key)
        if claim is None or not claim.metadata.deletionTimestamp or CLAIM_FINALIZER not in claim.metadata.finalizers:
            return None
        if in_use(self.cache(Pod).by_index(CLAIM_INDEX, str(key))):
            return None
        # The cache may lag behind a pod that was just created: the server's own list decides.
        live = await self.client.list(Pod, key.namespace)
        if not in_use([pod for pod in live.items if str(key) in claims_of(pod)]):
            await self._release(claim)
        return None

    async def _release(self, claim: PersistentVolumeClaim) -> None:
        meta = claim.metadata
        finalizers = without(meta.finalizers, CLAIM_FINALIZER)
        patch = {"metadata": {"resourceVersion": meta.resourceVersion, "finalizers": finalizers}}
        try:
            await self.client.patch(PersistentVolumeClaim, meta.name, meta.namespace, patch)
        except ApiError as error:
            if not error.not_found:
                raise


class PVProtectionController(Controller):
    name: ClassVar = "persistentvolume-protection-controller"
    kind = PersistentVolume
    writes = (Writes(PersistentVolume, ("patch",)),)

    async def reconcile(self, key: Key) -> float | None:
        volume = self.cache(PersistentVolume).get(*key)
        if volume is None or not volume.metadata.deletionTimestamp or volume.status.phase == "Bound":
            return None
        meta = volume.metadata
        if VOLUME_FINALIZER in meta.finalizers:
            finalizers = without(meta.finalizers, VOLUME_FINALIZER)
            patch = {"metadata": {"resourceVersion": meta.resourceVersion, "finalizers": finalizers}}
            await self.client.patch(PersistentVolume, meta.name, "", patch)
        return None
