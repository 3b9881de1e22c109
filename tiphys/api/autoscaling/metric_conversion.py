"""A metric in the words of autoscaling/v1's annotation and in those of autoscaling/v2.

Version 1 has a field for the use of CPU only; everything else travels in annotations, as JSON of flat metrics.
"""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]
# Source type to its name in the metric, and whether a status of it shows `current...` in place of `target...`.
SOURCES = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}


def to_flat(metric: JsonObject) -> JsonObject:
    """A v2 metric as version 1 writes it."""
    name = SOURCES.get(metric.get("type", ""), "")
    source = metric.get(name) or {}
    flat = _flat_identity(name, source)
    target = source.get("target") or {}
    if name in ("resource", "containerResource"):
        _put(flat, "targetAverageUtilization", target.get("averageUtilization"))
        _put(flat, "targetAverageValue", target.get("averageValue"))
    elif name == "pods":
        _put(flat, "targetAverageValue", target.get("averageValue", "0"))
    elif name == "object":
        flat["targetValue"] = target.get("value", "0")
        _put(flat, "averageValue", target.get("averageValue"))
    elif name == "external":
        _put(flat, "targetValue", target.get("value"))
        _put(flat, "targetAverageValue", target.get("averageValue"))
    return {"type": metric.get("type", ""), name: flat} if name else dict(metric)


def from_flat(metric: JsonObject) -> JsonObject:
    """A metric of the annotation as version 2 writes it."""
    name = SOURCES.get(metric.get("type", ""), "")
    flat = metric.get(name)
    if not name or not isinstance(flat, dict):
        return {"type": metric.get("type", "")}
    source = _identity(name, flat)
    target: JsonObject = {}
    _put(target, "averageUtilization", flat.get("targetAverageUtilization"))
    _put(target, "averageValue", flat.get("averageValue" if name == "object" else "targetAverageValue"))
    if name in ("object", "external") and target.get("averageValue") is None:
        _put(target, "value", flat.get("targetValue"))
    word = "Utilization" if "averageUtilization" in target else "Value" if "value" in target else "AverageValue"
    source["target"] = {"type": word, **target}
    return {"type": metric["type"], name: source}


def status_to_flat(metric: JsonObject) -> JsonObject:
    """A v2 metric status as version 1 writes it."""
    name = SOURCES.get(metric.get("type", ""), "")
    source = metric.get(name) or {}
    flat, current = _flat_identity(name, source), source.get("current") or {}
    if name in ("resource", "containerResource"):
        _put(flat, "currentAverageUtilization", current.get("averageUtilization"))
        flat["currentAverageValue"] = current.get("averageValue", "0")
    elif name == "pods":
        flat["currentAverageValue"] = current.get("averageValue", "0")
    else:
        flat["currentValue"] = current.get("value", "0")
        _put(flat, "averageValue" if name == "object" else "currentAverageValue", current.get("averageValue"))
    return {"type": metric.get("type", ""), name: flat} if name else dict(metric)


def status_from_flat(metric: JsonObject) -> JsonObject:
    """A metric status of the annotation as version 2 writes it."""
    name = SOURCES.get(metric.get("type", ""), "")
    flat = metric.get(name)
    if not name or not isinstance(flat, dict):
        return {"type": metric.get("type", "")}
    source, current = _identity(name, flat), dict[str, Any]()
    _put(current, "averageUtilization", flat.get("currentAverageUtilization"))
    _put(current, "averageValue", flat.get("averageValue" if name == "object" else "currentAverageValue"))
    _put(current, "value", flat.get("currentValue"))
    source["current"] = current
    return {"type": metric["type"], name: source}


def _flat_identity(name: str, source: JsonObject) -> JsonObject:
    """Which metric of what."""
    flat: JsonObject = {}
    if name in ("resource", "containerResource"):
        flat["name"] = source.get("name", "")
        _put(flat, "container", source.get("container"))
        return flat
    metric = source.get("metric") or {}
    if name == "object":
        flat["target"] = source.get("describedObject") or {}
    flat["metricName"] = metric.get("name", "")
    _put(flat, "metricSelector" if name == "external" else "selector", metric.get("selector"))
    return flat


def _identity(name: str, flat: JsonObject) -> JsonObject:
    if name in ("resource", "containerResource"):
        source = {"name": flat.get("name", "")}
        _put(source, "container", flat.get("container"))
        return source
    metric = {"name": flat.get("metricName", "")}
    _put(metric, "selector", flat.get("metricSelector" if name == "external" else "selector"))
    source = {"metric": metric}
    if name == "object":
        source["describedObject"] = flat.get("target") or {}
    return source


def _put(target: JsonObject, name: str, value: Any) -> None:
    if value is not None:
        target[name] = value
