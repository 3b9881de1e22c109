"""The claims of a StatefulSet's pods: made from templates, kept or let go by the retention policy.  Pure.

A claim is let go by owner references and the garbage collector: the set owns the claims that go with it, and a pod
that is scaled away owns its own.  A claim that somebody else controls is left alone.
"""

from __future__ import annotations

from typing import Any

from tiphys.api.apps.statefulset import StatefulSet
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.client.ownership import controller_of, owner_reference


def claim_name(stateful_set: StatefulSet, template: PersistentVolumeClaim, ordinal: int) -> str:
    return f"{template.metadata.name}-{stateful_set.metadata.name}-{ordinal}"


def claims_for(stateful_set: StatefulSet, ordinal: int) -> list[PersistentVolumeClaim]:
    """The claims the pod with that ordinal needs, as they are created."""
    selector = stateful_set.spec.selector
    match_labels = dict(selector.matchLabels) if selector else {}
    claims = []
    for template in stateful_set.spec.volumeClaimTemplates:
        metadata = {
            **template.metadata.to_dict(),
            "name": claim_name(stateful_set, template, ordinal),
            "namespace": stateful_set.metadata.namespace,
            "labels": {**template.metadata.labels, **match_labels},
        }
        if _goes_with_set(stateful_set, condemned=False):
            metadata["ownerReferences"] = [owner_reference(stateful_set)]
        claims.append(PersistentVolumeClaim.model_validate({"metadata": metadata, "spec": template.spec.to_dict()}))
    return claims


def _policy(stateful_set: StatefulSet) -> tuple[bool, bool]:
    """(deleted with the set, deleted when scaled away)"""
    policy = stateful_set.spec.persistentVolumeClaimRetentionPolicy
    return (False, False) if policy is None else (policy.whenDeleted == "Delete", policy.whenScaled == "Delete")


def _goes_with_set(stateful_set: StatefulSet, *, condemned: bool) -> bool:
    when_deleted, when_scaled = _policy(stateful_set)
    return when_deleted and not (when_scaled and condemned)


def changed_owners(
    stateful_set: StatefulSet, claim: PersistentVolumeClaim, pod: Pod, *, condemned: bool
) -> list[dict[str, Any]] | None:
    """The owner references `claim` of `pod` should have; None when they are right.  `condemned`: scaled away."""
    controller = controller_of(claim)
    ours = {stateful_set.metadata.uid, pod.metadata.uid}
    if controller is not None and controller.uid not in ours:
        return None
    _, when_scaled = _policy(stateful_set)
    wanted = [one.to_dict() for one in claim.metadata.ownerReferences if one.uid not in ours]
    if _goes_with_set(stateful_set, condemned=condemned):
        wanted.append(owner_reference(stateful_set))
    if when_scaled and condemned:
        wanted.append(owner_reference(pod))
    return None if wanted == [one.to_dict() for one in claim.metadata.ownerReferences] else wanted


def is_stale(claim: PersistentVolumeClaim, pod_name: str) -> bool:
    """The claim still belongs to an earlier pod of that name, so it is about to be collected."""
    return any(one.kind == "Pod" and one.name == pod_name for one in claim.metadata.ownerReferences)
