"""What the server says in a definition's status: conditions in upstream's words, and what begins and ends deletion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Obj = dict[str, Any]

GROUP, PLURAL = "apiextensions.k8s.io", "customresourcedefinitions"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
APPROVAL_CONFORMANT = "KubernetesAPIApprovalPolicyConformant"
ESTABLISHED, NAMES_ACCEPTED, TERMINATING = "Established", "NamesAccepted", "Terminating"


def condition(definition: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The condition of that type, {} where there is none."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == kind), {})


def is_true(definition: Mapping[str, Any], kind: str) -> bool:
    return condition(definition, kind).get("status") == "True"


def set_condition(definition: Obj, kind: str, status: str, reason: str, message: str, now: str) -> None:
    """In place; the transition time moves only when the status does."""
    conditions = definition.setdefault("status", {}).setdefault("conditions", [])
    fresh = {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now}
    for place, old in enumerate(conditions):
        if old.get("type") == kind:
            if old.get("status") == status:
                fresh["lastTransitionTime"] = old.get("lastTransitionTime", now)
            conditions[place] = fresh
            return
    conditions.append(fresh)


def is_alive(definition: Obj) -> bool:
    """A definition that nobody has deleted yet is never removed at once: its objects must go first."""
    return "deletionTimestamp" not in definition["metadata"]


def begin_cleanup(definition: Obj) -> None:
    """The first step of a deletion."""
    metadata = definition["metadata"]
    metadata.pop("deletionGracePeriodSeconds", None)
    finalizers = metadata.setdefault("finalizers", [])
    if CLEANUP not in finalizers:
        finalizers.append(CLEANUP)
    text = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    set_condition(definition, TERMINATING, "True", "InstanceDeletionPending", text, metadata["deletionTimestamp"])
