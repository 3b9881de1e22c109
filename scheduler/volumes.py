"""What the scheduler knows of claims and volumes, and what it writes before a pod with claims is bound.

`StorageView` is what the informers show plus what was assumed since.  What must stay true: a volume that was chosen for
a claim is chosen for no other before the informer shows the choice or the attempt has failed; a pod is bound only when
all its claims are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.api.core.volume_binding import (
    BOUND_BY_CONTROLLER,
    SELECTED_NODE,
    claims_of,
    is_fully_bound,
    is_reserved_for,
)
from tiphys.api.storage.storageclass import StorageClass
from tiphys.client.cache import Key, key_of
from tiphys.client.rest import Client

BIND_SECONDS = 600.0  # how long a pod waits for its claims before another node is looked for


class VolumesNotBound(Exception):
    """The claims of a pod were not bound to volumes of the chosen node; the pod is scheduled anew."""


@dataclass(frozen=True)
class VolumeChoice:
    """For one pod on one node: volumes there are for claims, and claims a provisioner has to serve there."""

    existing: tuple[tuple[PersistentVolume, PersistentVolumeClaim], ...] = ()
    provisioned: tuple[PersistentVolumeClaim, ...] = ()


class StorageView:
    """Objects by name; `taken` is volume -> claim, for choices that the informers do not show yet."""

    def __init__(
        self,
        claims: Iterable[PersistentVolumeClaim] = (),
        volumes: Iterable[PersistentVolume] = (),
        classes: Iterable[StorageClass] = (),
    ) -> None:
        self.claims = {Key(one.metadata.namespace, one.metadata.name): one for one in claims}
        self.volumes = {one.metadata.name: one for one in volumes}
        self.classes = {one.metadata.name: one for one in classes}
        self.taken: dict[str, Key] = {}
        self._waiters: set[asyncio.Event] = set()

    # What the informers say

    def claim_changed(self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None) -> None:
        if new is not None:
            held = self.claims.get(key_of(new))
            if held is None or held.metadata.uid != new.metadata.uid or _revision(held) <= _revision(new):
                self.claims[key_of(new)] = new
        elif old is not None:
            self.claims.pop(key_of(old), None)
        self._wake()

    def volume_changed(self, old: PersistentVolume | None, new: PersistentVolume | None) -> None:
        if new is not None:
            self.volumes[new.metadata.name] = new
            if new.spec.claimRef is not None:
                self.taken.pop(new.metadata.name, None)
        elif old is not None:
            self.volumes.pop(old.metadata.name, None)
            self.taken.pop(old.metadata.name, None)
        self._wake()

    def class_changed(self, old: StorageClass | None, new: StorageClass | None) -> None:
        if new is not None:
            self.classes[new.metadata.name] = new
        elif old is not None:
            self.classes.pop(old.metadata.name, None)

    def _wake(self) -> None:
        for waiter in self._waiters:
            waiter.set()

    # Choices

    def free_for(self, claim: Key) -> Iterator[PersistentVolume]:
        """Volumes that nobody else was promised."""
        for name, volume in self.volumes.items():
            if self.taken.get(name, claim) == claim:
                yield volume

    def assume(self, choice: VolumeChoice) -> None:
        for volume, claim in choice.existing:
            self.taken[volume.metadata.name] = Key(claim.metadata.namespace, claim.metadata.name)

    def forget(self, choice: VolumeChoice) -> None:
        for volume, _ in choice.existing:
            self.taken.pop(volume.metadata.name, None)

    async def bind(self, client: Client, pod: Pod, node: str, choice: VolumeChoice) -> None:
        """Write the choice down and wait until every claim of the pod is bound.

        Raises ApiError, ConnectionFailed, VolumesNotBound."""
        for volume, claim in choice.existing:
            if not (is_reserved_for(volume, claim) and volume.spec.claimRef and volume.spec.claimRef.uid):
                await _reserve(client, volume, claim)
        for claim in choice.provisioned:
            if claim.metadata.annotations.get(SELECTED_NODE) != node:
                meta = claim.metadata
                metadata = {"resourceVersion": meta.resourceVersion, "annotations": {SELECTED_NODE: node}}
                change = {"metadata": metadata}
                found = await client.patch(PersistentVolumeClaim, meta.name, meta.namespace, change)
                self.claim_changed(claim, found)  # events of before it do not undo this
        await self._all_bound(pod, node, {claim.metadata.name for claim in choice.provisioned})

    async def _all_bound(self, pod: Pod, node: str, provisioned: set[str]) -> None:
        changed = asyncio.Event()
        self._waiters.add(changed)
        try:
            async with asyncio.timeout(BIND_SECONDS):
                while unbound := list(self._unbound(pod)):
                    for claim in unbound:
                        chosen = claim.metadata.annotations.get(SELECTED_NODE)
                        if claim.metadata.name in provisioned and chosen != node:
                            raise VolumesNotBound(f'provisioning failed for PVC "{claim.metadata.name}"')
                    changed.clear()
                    await changed.wait()
        except TimeoutError as error:
            raise VolumesNotBound("binding volumes: context deadline exceeded") from error
        finally:
            self._waiters.discard(changed)

    def _unbound(self, pod: Pod) -> Iterator[PersistentVolumeClaim]:
        for name in claims_of(pod).values():
            claim = self.claims.get(Key(pod.metadata.namespace, name))
            if claim is None:
                raise VolumesNotBound(f'persistentvolumeclaim "{name}" not found')
            if not is_fully_bound(claim):
                yield claim


def _revision(claim: PersistentVolumeClaim) -> int:
    return int(claim.metadata.resourceVersion or 0)


async def _reserve(client: Client, volume: PersistentVolume, claim: PersistentVolumeClaim) -> None:
    """The volume names the claim; the volume controller does the rest."""
    meta = claim.metadata
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": meta.namespace,
        "name": meta.name,
        "uid": meta.uid,
        "resourceVersion": meta.resourceVersion,
    }
    metadata: dict[str, Any] = {"resourceVersion": volume.metadata.resourceVersion}
    if volume.spec.claimRef is None:
        metadata["annotations"] = {BOUND_BY_CONTROLLER: "yes"}
    change = {"metadata": metadata, "spec": {"claimRef": reference}}
    await client.patch(PersistentVolume, volume.metadata.name, "", change)
