"""Claims and volumes find each other, and part when the claim goes.

A binding is four writes: the volume names the claim, the volume is Bound, the claim names the volume, the claim is
Bound.  What must stay true: they happen in this order, each under the revision the decision was made on; after a crash
between any two the next turn goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from controllers.persistentvolumebinder_plan import Event, VolumePlan, bound_by_controller, plan_claim, plan_volume
from controllers.storageprotection import CLAIM_INDEX, claims_of
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.api.core.volume_binding import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    OLD_STORAGE_PROVISIONER,
    STORAGE_PROVISIONER,
    claim_class,
    is_fully_bound,
)
from tiphys.api.storage.storageclass import StorageClass
from tiphys.api.times import format_time
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError
from tiphys.client.resources import ApiObject

SOURCE = "persistentvolume-controller"
UNBOUND_INDEX = "unbound class"
REFERENCE_INDEX = "claimRef"


def claim_key(volume: PersistentVolume) -> list[str]:
    """namespace/name of the claim the volume names."""
    reference = volume.spec.claimRef
    return [] if reference is None else [f"{reference.namespace}/{reference.name}"]


class _Storage(Controller):
    """What both halves share: events under upstream's name, and the phase of a volume."""

    def record(self, obj: ApiObject, event: Event | None) -> None:
        if event is not None:
            self.events.event(obj, *event, source=SOURCE)

    async def set_volume_phase(self, volume: PersistentVolume, phase: str, message: str = "") -> None:
        if phase == volume.status.phase and message == volume.status.message:
            return
        now = format_time(self.clock.now())
        status = {"phase": phase, "message": message or None, "lastPhaseTransitionTime": now}
        await self.client.patch(PersistentVolume, volume.metadata.name, "", {"status": status}, subresource="status")


class PersistentVolumeClaimBinder(_Storage):
    name: ClassVar = "persistentvolume-binder-controller"
    kind = PersistentVolumeClaim
    reads = (PersistentVolume, StorageClass, Pod)
    writes = (
        Writes(PersistentVolume, ("patch",)),
        Writes(PersistentVolume, ("patch",), "status"),
        Writes(PersistentVolumeClaim, ("patch",)),
        Writes(PersistentVolumeClaim, ("patch",), "status"),
    )
    workers = 1  # one choice after another: two claims seldom ask for the same volume at the same time

    def setup(self) -> None:
        claims, pods = self.cache(PersistentVolumeClaim), self.cache(Pod)
        claims.add_index(UNBOUND_INDEX, lambda claim: [] if is_fully_bound(claim) else [claim_class(claim)])
        if not pods.cache.has_index(CLAIM_INDEX):
            pods.add_index(CLAIM_INDEX, claims_of)
        self.on(PersistentVolume, self._of_volume)
        self.on(StorageClass, lambda one: [*self._unbound(one.metadata.name), *self._unbound("")])
        self.on(Pod, self._of_pod)

    def _unbound(self, class_name: str) -> Iterable[Key]:
        for claim in self.cache(PersistentVolumeClaim).by_index(UNBOUND_INDEX, class_name):
            yield Key(claim.metadata.namespace, claim.metadata.name)

    def _of_volume(self, volume: PersistentVolume) -> Iterable[Key]:
        reference = volume.spec.claimRef
        if reference is not None:
            yield Key(reference.namespace, reference.name)
        else:
            yield from self._unbound(volume.spec.storageClassName)

    def _of_pod(self, pod: Pod) -> Iterable[Key]:
        """A first consumer, or one that has no node yet: only what the claim's event says depends on it."""
        if not pod.spec.nodeName:
            for text in claims_of(pod):
                claim = self.cache(PersistentVolumeClaim).get(*text.split("/", 1))
                if claim is not None and not is_fully_bound(claim):
                    yield Key(claim.metadata.namespace, claim.metadata.name)

    async def reconcile(self, key: Key) -> float | None:
        claim = self.cache(PersistentVolumeClaim).get(*key)
        if claim is None:
            return None
        volumes = {volume.metadata.name: volume for volume in self.cache(PersistentVolume).list()}
        classes = {one.metadata.name: one for one in self.cache(StorageClass).list()}
        plan = plan_claim(claim, volumes, classes, self._waiting_pods(key))
        if plan.bind is not None:
            await self._bind(plan.bind, claim)
            return None
        if plan.set_class:
            await self._patch(claim, {"spec": {"storageClassName": plan.set_class}})
            return None
        if plan.provisioner and claim.metadata.annotations.get(STORAGE_PROVISIONER) != plan.provisioner:
            named = dict.fromkeys((STORAGE_PROVISIONER, OLD_STORAGE_PROVISIONER), plan.provisioner)
            await self._patch(claim, {"metadata": {"annotations": named}})
        if plan.phase and (plan.phase != claim.status.phase or plan.phase == "Pending"):
            self.record(claim, plan.event)
        if plan.phase and plan.phase != claim.status.phase:
            await self._set_status(claim, {"phase": plan.phase})
        return None

    def _waiting_pods(self, key: Key) -> list[str]:
        users = self.cache(Pod).by_index(CLAIM_INDEX, str(key))
        return [pod.metadata.name for pod in users if not pod.spec.nodeName and not pod.metadata.deletionTimestamp]

    async def _bind(self, volume: PersistentVolume, claim: PersistentVolumeClaim) -> None:
        reference, meta = volume.spec.claimRef, claim.metadata
        if reference is None or reference.uid != meta.uid:
            by_us = reference is None or (reference.namespace, reference.name) != (meta.namespace, meta.name)
            volume = await self._name_claim(volume, claim, by_us=by_us)
        await self.set_volume_phase(volume, "Bound")
        if claim.spec.volumeName != volume.metadata.name or BIND_COMPLETED not in meta.annotations:
            notes = {BIND_COMPLETED: "yes"}
            if not claim.spec.volumeName:
                notes[BOUND_BY_CONTROLLER] = "yes"
            change = {"metadata": {"annotations": notes}, "spec": {"volumeName": volume.metadata.name}}
            claim = await self._patch(claim, change)
        if claim.status.phase != "Bound":
            status = {"phase": "Bound", "accessModes": volume.spec.accessModes, "capacity": volume.spec.capacity}
            await self._set_status(claim, status)

    async def _name_claim(
        self, volume: PersistentVolume, claim: PersistentVolumeClaim, *, by_us: bool
    ) -> PersistentVolume:
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
        if by_us:
            metadata["annotations"] = {BOUND_BY_CONTROLLER: "yes"}
        change = {"metadata": metadata, "spec": {"claimRef": reference}}
        return await self.client.patch(PersistentVolume, volume.metadata.name, "", change)

    async def _patch(self, claim: PersistentVolumeClaim, change: dict[str, Any]) -> PersistentVolumeClaim:
        meta = claim.metadata
        metadata = {**change.get("metadata", {}), "resourceVersion": meta.resourceVersion}
        change = {**change, "metadata": metadata}
        return await self.client.patch(PersistentVolumeClaim, meta.name, meta.namespace, change)

    async def _set_status(self, claim: PersistentVolumeClaim, status: dict[str, Any]) -> None:
        meta = claim.metadata
        change = {"metadata": {"uid": meta.uid}, "status": status}
        await self.client.patch(PersistentVolumeClaim, meta.name, meta.namespace, change, subresource="status")


class PersistentVolumeKeeper(_Storage):
    """The volume's half: its phase, and letting go of a claim that is no more."""

    name: ClassVar = "persistentvolume-phase-controller"
    kind = PersistentVolume
    reads = (PersistentVolumeClaim,)
    writes = (
        Writes(PersistentVolume, ("patch",)),
        Writes(PersistentVolume, ("patch",), "status"),
        Writes(PersistentVolumeClaim, ("get",)),
    )
    workers = 2

    def setup(self) -> None:
        volumes = self.cache(PersistentVolume)
        volumes.add_index(REFERENCE_INDEX, claim_key)
        self.on(PersistentVolumeClaim, self._of_claim)

    def _of_claim(self, claim: PersistentVolumeClaim) -> Iterable[Key]:
        if claim.spec.volumeName:
            yield Key("", claim.spec.volumeName)
        for volume in self.cache(PersistentVolume).by_index(
            REFERENCE_INDEX, f"{claim.metadata.namespace}/{claim.metadata.name}"
        ):
            yield Key("", volume.metadata.name)

    async def reconcile(self, key: Key) -> float | None:
        volume = self.cache(PersistentVolume).get(*key)
        if volume is None:
            return None
        await self._carry_out(volume, plan_volume(volume, await self._claim_of(volume)))
        return None

    async def _claim_of(self, volume: PersistentVolume) -> PersistentVolumeClaim | None:
        """Before a claim counts as gone the server itself is asked: the cache may be behind."""
        reference = volume.spec.claimRef
        if reference is None or not reference.uid:
            return None
        claim = self.cache(PersistentVolumeClaim).get(reference.namespace, reference.name)
        if claim is not None and claim.metadata.uid == reference.uid:
            return claim
        try:
            return await self.client.get(PersistentVolumeClaim, reference.name, reference.namespace)
        except ApiError as error:
            if error.not_found:
                return None
            raise

    async def _carry_out(self, volume: PersistentVolume, plan: VolumePlan) -> None:
        if plan.unbind:
            volume = await self._unbind(volume)
        if plan.phase and plan.phase != volume.status.phase:
            self.record(volume, plan.event)
            await self.set_volume_phase(volume, plan.phase, plan.message)
        elif not plan.phase:
            self.record(volume, plan.event)

    async def _unbind(self, volume: PersistentVolume) -> PersistentVolume:
        metadata: dict[str, Any] = {"resourceVersion": volume.metadata.resourceVersion}
        reference: dict[str, Any] | None = {"uid": None, "resourceVersion": None}
        if bound_by_controller(volume):
            metadata["annotations"] = {BOUND_BY_CONTROLLER: None}
            reference = None
        change = {"metadata": metadata, "spec": {"claimRef": reference}}
        return await self.client.patch(PersistentVolume, volume.metadata.name, "", change)
