"""What kstatus (Flux, Helm 4, cli-utils) reads from an object: Current, InProgress, Failed or Terminating.

Written from the rules, not from its code: generic conditions first, then the kind's own fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Obj = dict[str, Any]
CURRENT, GOING, FAILED, TERMINATING = "Current", "InProgress", "Failed", "Terminating"


def kstatus(obj: Obj) -> str:
    metadata, status = obj["metadata"], obj.get("status", {})
    if metadata.get("deletionTimestamp"):
        return TERMINATING
    seen = status.get("observedGeneration")
    if seen is not None and seen != metadata.get("generation"):
        return GOING
    if condition(obj, "Reconciling") == "True":
        return GOING
    if condition(obj, "Stalled") == "True":
        return FAILED
    rule = RULES.get(obj["kind"])
    if rule is not None:
        return rule(obj, obj.get("spec", {}), status)
    ready = condition(obj, "Ready")
    return CURRENT if ready in ("", "True") else GOING


def condition(obj: Obj, type: str) -> str:
    """Its status; "" where there is none."""
    found = (one["status"] for one in obj.get("status", {}).get("conditions") or () if one["type"] == type)
    return next(found, "")


def reason(obj: Obj, type: str) -> str:
    found = (one.get("reason", "") for one in obj.get("status", {}).get("conditions") or () if one["type"] == type)
    return next(found, "")


def _when(holds: bool) -> str:
    return CURRENT if holds else GOING


def _deployment(obj: Obj, spec: Obj, status: Obj) -> str:
    if reason(obj, "Progressing") == "ProgressDeadlineExceeded":
        return FAILED
    wanted, progressing = spec.get("replicas", 1), condition(obj, "Progressing")
    counts = [status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas", "readyReplicas")]
    done = progressing == "True" and reason(obj, "Progressing") == "NewReplicaSetAvailable"
    return _when(counts == [wanted] * 4 and done and condition(obj, "Available") == "True")


def _stateful_set(obj: Obj, spec: Obj, status: Obj) -> str:
    if spec.get("updateStrategy", {}).get("type") == "OnDelete":
        return CURRENT
    wanted = spec.get("replicas", 1)
    if [status.get("replicas", 0), status.get("readyReplicas", 0)] != [wanted] * 2:
        return GOING
    partition = (spec["updateStrategy"].get("rollingUpdate") or {}).get("partition", 0)
    if partition:
        return _when(status.get("updatedReplicas", 0) >= wanted - partition)
    return _when(status.get("currentReplicas", 0) == wanted and status["currentRevision"] == status["updateRevision"])


def _daemon_set(obj: Obj, spec: Obj, status: Obj) -> str:
    if seen_nothing(status):
        return GOING
    names = ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady")
    return _when(all(status.get(name, 0) >= status.get("desiredNumberScheduled", -1) for name in names))


def seen_nothing(status: Obj) -> bool:
    return "observedGeneration" not in status


def _replica_set(obj: Obj, spec: Obj, status: Obj) -> str:
    if condition(obj, "ReplicaFailure") == "True":
        return GOING
    names = ("fullyLabeledReplicas", "availableReplicas", "readyReplicas", "replicas")
    return _when([status.get(name, 0) for name in names] == [spec.get("replicas", 1)] * 4)


def _job(obj: Obj, spec: Obj, status: Obj) -> str:
    if condition(obj, "Failed") == "True":
        return FAILED
    done = "True" in (condition(obj, "Complete"), condition(obj, "Suspended"))
    return _when(done or bool(status.get("startTime")))


def _pod(obj: Obj, spec: Obj, status: Obj) -> str:
    phase = status.get("phase", "")
    if phase == "Failed":
        return FAILED
    return _when(phase == "Succeeded" or (phase == "Running" and condition(obj, "Ready") == "True"))


def _claim(obj: Obj, spec: Obj, status: Obj) -> str:
    return _when(status.get("phase") == "Bound")


def _budget(obj: Obj, spec: Obj, status: Obj) -> str:
    return _when("observedGeneration" in status and status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0))


def _service(obj: Obj, spec: Obj, status: Obj) -> str:
    return _when(spec.get("type") != "LoadBalancer" or bool(spec.get("clusterIP")))


def _definition(obj: Obj, spec: Obj, status: Obj) -> str:
    if condition(obj, "NamesAccepted") == "False":
        return FAILED
    return _when(condition(obj, "Established") == "True")


RULES: dict[str, Callable[[Obj, Obj, Obj], str]] = {
    "Deployment": _deployment, "StatefulSet": _stateful_set, "DaemonSet": _daemon_set, "ReplicaSet": _replica_set,
    "Job": _job, "Pod": _pod, "PersistentVolumeClaim": _claim, "PodDisruptionBudget": _budget, "Service": _service,
    "CustomResourceDefinition": _definition,
}  # fmt: skip
