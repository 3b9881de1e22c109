"""autoscaling/v1 shows what autoscaling/v2 keeps: the CPU goal as a field, everything else in annotations.

What must stay true: `from_storage` then `to_storage` loses nothing, and an annotation nobody can read is dropped, as
upstream drops it, never an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tiphys.api.autoscaling.metric_conversion import from_flat, status_from_flat, status_to_flat, to_flat

JsonObject = dict[str, Any]

storage = ("autoscaling", "horizontalpodautoscalers")
STORED = "autoscaling/v2"
METRICS = "autoscaling.alpha.kubernetes.io/metrics"
CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"


def from_storage(kept: JsonObject) -> JsonObject:
    """v2 to v1."""
    spec, status = dict(kept.get("spec") or {}), dict(kept.get("status") or {})
    notes: dict[str, Any] = {}
    metrics, current = spec.pop("metrics", None) or [], status.pop("currentMetrics", None) or []
    goal = next((metric for metric in metrics if _is_cpu_goal(metric)), None)
    if goal is not None:
        spec["targetCPUUtilizationPercentage"] = goal["resource"]["target"]["averageUtilization"]
    if rest := [metric for metric in metrics if metric is not goal]:
        notes[METRICS] = [to_flat(metric) for metric in rest]
    for metric in current:
        used = (metric.get("resource") or {}).get("current") or {}
        if (metric.get("resource") or {}).get("name") == "cpu" and used.get("averageUtilization") is not None:
            status["currentCPUUtilizationPercentage"] = used["averageUtilization"]
    if current:
        notes[CURRENT] = [status_to_flat(metric) for metric in current]
    if conditions := status.pop("conditions", None):
        notes[CONDITIONS] = conditions
    if (behavior := spec.pop("behavior", None)) is not None:
        notes[BEHAVIOR] = {name[0].upper() + name[1:]: rules for name, rules in behavior.items()}
    status.setdefault("currentReplicas", 0)
    shown = {**kept, "apiVersion": "autoscaling/v1", "spec": spec, "status": status}
    if notes:
        texts = {name: json.dumps(value, separators=(",", ":")) for name, value in notes.items()}
        metadata = kept.get("metadata") or {}
        shown["metadata"] = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **texts}}
    return shown


def _is_cpu_goal(metric: JsonObject) -> bool:
    source = metric.get("resource") or {}
    return source.get("name") == "cpu" and (source.get("target") or {}).get("averageUtilization") is not None


def to_storage(shown: JsonObject) -> JsonObject:
    """v1 to v2."""
    spec, status = dict(shown.get("spec") or {}), dict(shown.get("status") or {})
    metadata = dict(shown.get("metadata") or {})
    annotations = dict(metadata.get("annotations") or {})
    metrics = _read(annotations, METRICS, from_flat)
    percentage = spec.pop("targetCPUUtilizationPercentage", None)
    if percentage is not None:
        target = {"type": "Utilization", "averageUtilization": percentage}
        metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}, *metrics]
    if metrics:
        spec["metrics"] = metrics
    _behavior(annotations, spec)
    current = _read(annotations, CURRENT, status_from_flat)
    status.pop("currentCPUUtilizationPercentage", None)
    if current:
        status["currentMetrics"] = current
    if conditions := _read(annotations, CONDITIONS, dict):
        status["conditions"] = conditions
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    return {**shown, "apiVersion": STORED, "metadata": metadata, "spec": spec, "status": status}


def _read(annotations: dict[str, str], name: str, read: Callable[[Any], JsonObject]) -> list[JsonObject]:
    """Takes the annotation away and returns what it says."""
    try:
        value = json.loads(annotations.pop(name, "[]"))
    except ValueError:
        return []
    return [read(item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _behavior(annotations: dict[str, str], spec: JsonObject) -> None:
    try:
        value = json.loads(annotations.pop(BEHAVIOR, "null"))
    except ValueError:
        return
    if isinstance(value, dict):
        spec["behavior"] = {name[:1].lower() + name[1:]: rules for name, rules in value.items()}
