"""VolumeBinding: a node passes when it reaches the volumes of the pod's claims, or can get volumes for those that wait.

The choice for a node (`choose_volumes`) is made again when the pod is given to it; it depends on the same state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scheduler.framework import Verdict
from scheduler.podinfo import PodInfo
from scheduler.snapshot import Snapshot
from scheduler.volumes import StorageView, VolumeChoice
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.api.core.volume_binding import (
    NO_PROVISIONER,
    SELECTED_NODE,
    claim_class,
    claims_of,
    find_match,
    is_fully_bound,
    reaches,
    requested,
    waits_for_consumer,
)
from tiphys.api.storage.storageclass import StorageClass
from tiphys.client.cache import Key

BIND_CONFLICT = "node(s) didn't find available persistent volumes to bind"
NODE_CONFLICT = "node(s) didn't match PersistentVolume's node affinity"
VOLUME_MISSING = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
UNBOUND_IMMEDIATE = "pod has unbound immediate PersistentVolumeClaims"


class PodRefused(Exception):
    """Why the pod can go to no node at all until its claims change."""


def claims_for(pod: Pod, view: StorageView) -> tuple[list[PersistentVolumeClaim], list[PersistentVolumeClaim]]:
    """(bound, to be bound on the chosen node).  Raises PodRefused."""
    bound: list[PersistentVolumeClaim] = []
    waiting: list[PersistentVolumeClaim] = []
    ephemeral = {volume.name for volume in pod.spec.volumes if volume.ephemeral is not None}
    immediate = False
    for volume, name in claims_of(pod).items():
        claim = view.claims.get(Key(pod.metadata.namespace, name))
        _check(pod, claim, name, ephemeral=volume in ephemeral)
        assert claim is not None
        if is_fully_bound(claim):
            bound.append(claim)
        elif claim.spec.volumeName or not waits_for_consumer(claim, view.classes):
            immediate = True
        else:
            waiting.append(claim)
    if immediate:
        raise PodRefused(UNBOUND_IMMEDIATE)
    return bound, waiting


def _check(pod: Pod, claim: PersistentVolumeClaim | None, name: str, *, ephemeral: bool) -> None:
    if claim is None and ephemeral:
        raise PodRefused(f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"')
    if claim is None:
        raise PodRefused(f'persistentvolumeclaim "{name}" not found')
    if claim.metadata.deletionTimestamp:
        raise PodRefused(f'persistentvolumeclaim "{name}" is being deleted')
    if claim.status.phase == "Lost":
        raise PodRefused(
            f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{claim.spec.volumeName}"'
        )
    if ephemeral and all(one.uid != pod.metadata.uid for one in claim.metadata.ownerReferences):
        key = f"{pod.metadata.namespace}/{name}"
        own = f"{pod.metadata.namespace}/{pod.metadata.name}"
        raise PodRefused(f"PVC {key} was not created for pod {own} (pod is not owner)")


def choose_volumes(pod: Pod, view: StorageView, node: str, labels: Mapping[str, str]) -> VolumeChoice:
    """The volumes for the waiting claims of a pod on a node it fits.  Raises PodRefused."""
    _, waiting = claims_for(pod, view)
    choice, reason = _for_node(waiting, view, node, labels)
    if reason:
        raise PodRefused(reason)
    return choice


def _for_node(
    waiting: Sequence[PersistentVolumeClaim], view: StorageView, node: str, labels: Mapping[str, str]
) -> tuple[VolumeChoice, str]:
    existing, provisioned, used = [], [], set()
    for claim in sorted(waiting, key=requested):
        selected = claim.metadata.annotations.get(SELECTED_NODE, "")
        if selected and selected != node:
            return VolumeChoice(), BIND_CONFLICT
        key = Key(claim.metadata.namespace, claim.metadata.name)
        free = (volume for volume in view.free_for(key) if volume.metadata.name not in used)
        match = find_match(claim, free, delayed=True, node=(node, labels))
        if match is not None and not selected:
            existing.append((match, claim))
            used.add(match.metadata.name)
        elif _can_provision(view.classes.get(claim_class(claim)), labels):
            provisioned.append(claim)
        else:
            return VolumeChoice(), BIND_CONFLICT
    return VolumeChoice(tuple(existing), tuple(provisioned)), ""


def _can_provision(storage_class: StorageClass | None, labels: Mapping[str, str]) -> bool:
    if storage_class is None or storage_class.provisioner in ("", NO_PROVISIONER):
        return False
    terms = storage_class.allowedTopologies
    return not terms or any(
        all(labels.get(one.key) in one.values for one in term.matchLabelExpressions) for term in terms
    )


class VolumeBinding:
    name = "VolumeBinding"

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        if not claims_of(pod.pod):
            return None
        view = snapshot.storage
        try:
            bound, waiting = claims_for(pod.pod, view)
        except PodRefused as refusal:
            return Verdict(np.zeros(len(snapshot), np.bool_), lambda _: (), unresolvable=True, whole_pod=str(refusal))
        reasons = [
            _bound_reasons(bound, view, name, labels) or _for_node(waiting, view, name, labels)[1]
            for name, labels in zip(snapshot.names, snapshot.labels, strict=True)
        ]
        passed = np.array([not reason for reason in reasons], np.bool_)
        return Verdict(passed, lambda row: (reasons[row],), unresolvable=True)


def _bound_reasons(
    bound: Sequence[PersistentVolumeClaim], view: StorageView, node: str, labels: Mapping[str, str]
) -> str:
    for claim in bound:
        volume = view.volumes.get(claim.spec.volumeName)
        if volume is None:
            return VOLUME_MISSING
        if not reaches(volume, node, labels):
            return NODE_CONFLICT
    return ""
