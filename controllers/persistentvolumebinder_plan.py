"""What becomes of a claim and of a volume now, as data: upstream's syncClaim and syncVolume.  Pure.

What must stay true: a claim that was bound once is never bound to another volume (it is Lost instead), and a volume
whose claim is gone is never given to another claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.volume_binding import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    NO_PROVISIONER,
    PROVISIONED_BY,
    SELECTED_NODE,
    asks_for_default_class,
    claim_class,
    default_class,
    find_match,
    is_reserved_for,
    mismatch,
    mode_of,
    waits_for_consumer,
)
from tiphys.api.storage.storageclass import StorageClass

Event = tuple[str, str, str]  # type, reason, message


@dataclass(frozen=True)
class ClaimPlan:
    """At most one of `bind`, `set_class` and `provisioner`; `phase` "" leaves the status as it is."""

    bind: PersistentVolume | None = None
    phase: str = ""
    event: Event | None = None
    set_class: str = ""
    provisioner: str = ""  # who is to make a volume


@dataclass(frozen=True)
class VolumePlan:
    """`unbind` takes the claim reference off: all of it if the controller wrote it, else only the uid."""

    phase: str = ""
    message: str = ""
    unbind: bool = False
    event: Event | None = None


def plan_claim(
    claim: PersistentVolumeClaim,
    volumes: Mapping[str, PersistentVolume],
    classes: Mapping[str, StorageClass],
    waiting_pods: Sequence[str] = (),
) -> ClaimPlan:
    """`waiting_pods`: names of the pods that use the claim and have no node yet."""
    if BIND_COMPLETED in claim.metadata.annotations:
        return _bound_claim(claim, volumes)
    if claim.metadata.deletionTimestamp:
        return ClaimPlan()
    if claim.spec.volumeName:
        return _chosen_volume(claim, volumes.get(claim.spec.volumeName))
    delayed = waits_for_consumer(claim, classes)
    match = find_match(claim, volumes.values(), delayed=delayed)
    if match is not None:
        return ClaimPlan(bind=match)
    if asks_for_default_class(claim) and (default := default_class(classes.values())) is not None:
        return ClaimPlan(set_class=default.metadata.name)
    if delayed and SELECTED_NODE not in claim.metadata.annotations:
        return ClaimPlan(phase="Pending", event=_waiting(waiting_pods))
    return _provision(claim, classes)


def _waiting(pods: Sequence[str]) -> Event:
    if not pods:
        return "Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding"
    word = "pod" if len(pods) == 1 else "pods"
    return "Normal", "WaitForPodScheduled", f"waiting for {word} {','.join(sorted(pods))} to be scheduled"


def _provision(claim: PersistentVolumeClaim, classes: Mapping[str, StorageClass]) -> ClaimPlan:
    name = claim_class(claim)
    if not name:
        text = "no persistent volumes available for this claim and no storage class is set"
        return ClaimPlan(phase="Pending", event=("Normal", "FailedBinding", text))
    found = classes.get(name)
    if found is None:
        text = f'storageclass.storage.k8s.io "{name}" not found'
        return ClaimPlan(phase="Pending", event=("Warning", "ProvisioningFailed", text))
    if found.provisioner == NO_PROVISIONER:
        text = f"no volume plugin matched name: {NO_PROVISIONER}"
        return ClaimPlan(phase="Pending", event=("Warning", "ProvisioningFailed", text))
    text = (
        f"Waiting for a volume to be created either by the external provisioner '{found.provisioner}' or manually by "
        "the system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered."
    )
    return ClaimPlan(phase="Pending", event=("Normal", "ExternalProvisioning", text), provisioner=found.provisioner)


def _chosen_volume(claim: PersistentVolumeClaim, volume: PersistentVolume | None) -> ClaimPlan:
    """The claim names its volume, which may not know it yet."""
    if volume is None:
        return ClaimPlan(phase="Pending")
    if volume.spec.claimRef is None:
        cause = mismatch(volume, claim)
        if cause:
            text = f'Cannot bind to requested volume "{volume.metadata.name}": {cause}'
            return ClaimPlan(phase="Pending", event=("Warning", "VolumeMismatch", text))
        return ClaimPlan(bind=volume)
    if is_reserved_for(volume, claim):
        return ClaimPlan(bind=volume)
    text = f'volume "{volume.metadata.name}" already bound to a different claim.'
    return ClaimPlan(phase="Pending", event=("Warning", "FailedBinding", text))


def _bound_claim(claim: PersistentVolumeClaim, volumes: Mapping[str, PersistentVolume]) -> ClaimPlan:
    if not claim.spec.volumeName:
        return _lost("ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")
    volume = volumes.get(claim.spec.volumeName)
    if volume is None:
        return _lost("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
    reference = volume.spec.claimRef
    if reference is None or reference.uid == claim.metadata.uid:
        return ClaimPlan(bind=volume)
    text = "Two claims are bound to the same volume, this one is bound incorrectly"
    return _lost("ClaimMisbound", text)


def _lost(reason: str, text: str) -> ClaimPlan:
    return ClaimPlan(phase="Lost", event=("Warning", reason, text))


def plan_volume(volume: PersistentVolume, claim: PersistentVolumeClaim | None) -> VolumePlan:
    """`claim`: the one that spec.claimRef names by name, if it exists."""
    reference = volume.spec.claimRef
    if reference is None or not reference.uid:
        return VolumePlan(phase="Available")
    if claim is None or claim.metadata.uid != reference.uid:
        return _released(volume)
    if not claim.spec.volumeName:
        if mode_of(volume) != mode_of(claim):
            text = (
                f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{claim.metadata.name}" '
                "due to incompatible volumeMode."
            )
            return VolumePlan(event=("Warning", "VolumeMismatch", text))
        return VolumePlan()  # the binding is under way on the claim's side
    if claim.spec.volumeName == volume.metadata.name:
        return VolumePlan(phase="Bound")
    if PROVISIONED_BY in volume.metadata.annotations and volume.spec.persistentVolumeReclaimPolicy == "Delete":
        return _released(volume)
    return VolumePlan(phase="Available", unbind=True)


def _released(volume: PersistentVolume) -> VolumePlan:
    """The claim is gone.  A provisioner removes what it made; nothing else can be deleted or recycled here."""
    policy, name = volume.spec.persistentVolumeReclaimPolicy, volume.metadata.name
    if volume.status.phase == "Failed" or policy in ("", "Retain") or volume.metadata.deletionTimestamp:
        return VolumePlan(phase="" if volume.status.phase == "Failed" else "Released")
    if policy == "Recycle":
        text = "No recycler plugin found for the volume!"
        return VolumePlan(phase="Failed", message=text, event=("Warning", "VolumeFailedRecycle", text))
    if volume.metadata.annotations.get(PROVISIONED_BY):
        return VolumePlan(phase="Released")
    text = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
    return VolumePlan(phase="Failed", message=text, event=("Warning", "VolumeFailedDelete", text))


def bound_by_controller(volume: PersistentVolume) -> bool:
    return BOUND_BY_CONTROLLER in volume.metadata.annotations
