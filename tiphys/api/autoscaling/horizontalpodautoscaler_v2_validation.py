"""What an autoscaler may say: bounds, a target, and metrics with a goal each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.autoscaling.metric_conversion import SOURCES
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain, is_path_segment
from tiphys.api.quantity import parse_quantity
from tiphys.api.status import forbidden_field, invalid, not_supported, required

Object = Mapping[str, Any]
_MAX_PERIOD_SECONDS, _MAX_WINDOW_SECONDS = 1800, 3600
_POLICIES, _SELECT = ("Pods", "Percent"), ("Max", "Min", "Disabled")


def validate(obj: Object) -> Errors:
    return check.object_name(obj, is_dns1123_subdomain) + _spec(obj.get("spec") or {})


def validate_update(new: Object, old: Object) -> Errors:
    return _spec(new.get("spec") or {})


def validate_status_update(new: Object, old: Object) -> Errors:
    status = new.get("status") or {}
    errors = check.not_negative("status.currentReplicas", status.get("currentReplicas"))
    return errors + check.not_negative("status.desiredReplicas", status.get("desiredReplicas"))


def _spec(spec: Object) -> Errors:
    low, high = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    errors: Errors = []
    if low is not None and low < 1:
        errors.append(invalid("spec.minReplicas", low, "must be greater than or equal to 1"))
    if high < 1:
        errors.append(invalid("spec.maxReplicas", high, "must be greater than 0"))
    if low is not None and high < low:
        errors.append(invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`"))
    errors += _reference("spec.scaleTargetRef", spec.get("scaleTargetRef") or {})
    errors += check.each("spec.metrics", spec.get("metrics"), _metric)
    for field in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(field)
        errors += _rules(f"spec.behavior.{field}", rules) if rules is not None else []
    return errors


def _reference(path: str, reference: Object) -> Errors:
    errors: Errors = []
    for field in ("kind", "name"):
        errors += check.name(f"{path}.{field}", reference.get(field, ""), is_path_segment)
    return errors


def _metric(path: str, metric: Object) -> Errors:
    kind = metric.get("type", "")
    errors: Errors = [] if kind else [required(f"{path}.type", "must specify a metric source type")]
    if kind not in SOURCES:
        errors.append(not_supported(f"{path}.type", kind, sorted(SOURCES)))
    given = [name for name in SOURCES.values() if metric.get(name) is not None]
    expected = SOURCES.get(kind, kind.lower())
    if given:
        errors += _source(f"{path}.{given[0]}", given[0], metric[given[0]])
    if expected not in given:
        text = "must populate information for the given metric source"
        errors.append(required(f"{path}.{expected}", text))
    for extra in given if len(given) != 1 else []:
        if extra != expected:
            errors.append(forbidden_field(f"{path}.{extra}", "must populate the given metric source only"))
    return errors


def _source(path: str, name: str, source: Object) -> Errors:
    target = source.get("target") or {}
    errors: Errors = []
    if name in ("resource", "containerResource"):
        if not source.get("name"):
            errors.append(required(f"{path}.name", "must specify a resource name"))
        if name == "containerResource" and not source.get("container"):
            errors.append(required(f"{path}.container", "must specify a container"))
    else:
        metric = source.get("metric") or {}
        errors += check.name(f"{path}.metric.name", metric.get("name", ""), is_path_segment)
        errors += check.label_selector(f"{path}.metric.selector", metric.get("selector"))
    if name == "object":
        errors += _reference(f"{path}.describedObject", source.get("describedObject") or {})
    errors += _target(f"{path}.target", target)
    return errors + _needed(f"{path}.target", name, target)


def _target(path: str, target: Object) -> Errors:
    kind = target.get("type", "")
    errors: Errors = [] if kind else [required(f"{path}.type", "must specify a metric target type")]
    if kind not in ("Utilization", "Value", "AverageValue"):
        text = "must be either Utilization, Value, or AverageValue"
        errors.append(invalid(f"{path}.type", kind, text))
    for field in ("value", "averageValue"):
        if target.get(field) is not None and parse_quantity(target[field]) <= 0:
            errors.append(invalid(f"{path}.{field}", target[field], "must be positive"))
    if target.get("averageUtilization") is not None and target["averageUtilization"] < 1:
        errors.append(invalid(f"{path}.averageUtilization", target["averageUtilization"], "must be greater than 0"))
    return errors


def _needed(path: str, name: str, target: Object) -> Errors:
    """The goal a source can be measured by."""
    value, average, share = (target.get(field) is not None for field in ("value", "averageValue", "averageUtilization"))
    if name in ("resource", "containerResource"):
        if not share and not average:
            text = "must set either a target raw value or a target utilization"
            return [required(f"{path}.averageUtilization", text)]
        if share and average:
            text = "may not set both a target raw value and a target utilization"
            return [forbidden_field(f"{path}.averageValue", text)]
        return []
    if name == "pods":
        return [] if average else [required(f"{path}.averageValue", "must specify a positive target averageValue")]
    if value == average:
        text = "must set either a target value for metric or a per-pod target"
        if not value:
            return [required(f"{path}.{'averageValue' if name == 'object' else 'value'}", text)]
        return [forbidden_field(f"{path}.value", "may not set both a target value for metric and a per-pod target")]
    return []


def _rules(path: str, rules: Object) -> Errors:
    window = rules.get("stabilizationWindowSeconds")
    errors = check.not_negative(f"{path}.stabilizationWindowSeconds", window)
    if window is not None and window > _MAX_WINDOW_SECONDS:
        text = f"must be less than or equal to {_MAX_WINDOW_SECONDS}"
        errors.append(invalid(f"{path}.stabilizationWindowSeconds", window, text))
    select = rules.get("selectPolicy")
    if select is not None and select not in _SELECT:
        errors.append(not_supported(f"{path}.selectPolicy", select, sorted(_SELECT)))
    policies = rules.get("policies") or []
    if not policies:
        errors.append(required(f"{path}.policies", "must specify at least one Policy"))
    return errors + check.each(f"{path}.policies", policies, _policy)


def _policy(path: str, policy: Object) -> Errors:
    errors: Errors = []
    if policy.get("type") not in _POLICIES:
        errors.append(not_supported(f"{path}.type", policy.get("type", ""), sorted(_POLICIES)))
    for field in ("value", "periodSeconds"):
        errors += check.positive(f"{path}.{field}", policy.get(field, 0))
    if policy.get("periodSeconds", 0) > _MAX_PERIOD_SECONDS:
        text = f"must be less than or equal to {_MAX_PERIOD_SECONDS}"
        errors.append(invalid(f"{path}.periodSeconds", policy["periodSeconds"], text))
    return errors
