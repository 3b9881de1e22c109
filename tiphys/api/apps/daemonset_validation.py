"""What a daemon set may say, and what of it may not change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.apps.workload_validation import selects
from tiphys.api.core.podspec_validation import template_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import invalid, not_supported, required

Object = Mapping[str, Any]
_COUNTS = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
_OTHER_COUNTS = ("observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable")


def validate(obj: Object) -> Errors:
    return check.object_name(obj, is_dns1123_subdomain) + _spec(obj.get("spec") or {})


def validate_update(new: Object, old: Object) -> Errors:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    return _spec(spec) + check.immutable("spec.selector", spec.get("selector"), before.get("selector"))


def _spec(spec: Object) -> Errors:
    selector, template = spec.get("selector"), spec.get("template") or {}
    errors = check.label_selector("spec.selector", selector)
    if selector is None:
        errors.append(required("spec.selector"))
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(invalid("spec.selector", selector, "empty selector is invalid for daemonset"))
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selects(selector, labels):
        text = "`selector` does not match template `labels`"
        errors.append(invalid("spec.template.metadata.labels", labels or None, text))
    errors += template_errors("spec.template", template, kind="DaemonSet")
    errors += check.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    errors += _update_strategy(spec.get("updateStrategy") or {})
    return errors + check.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))


def _update_strategy(strategy: Object) -> Errors:
    kind, rolling, path = strategy.get("type", ""), strategy.get("rollingUpdate"), "spec.updateStrategy"
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        return [not_supported(f"{path}.type", kind, ("RollingUpdate", "OnDelete"))]
    if rolling is None:
        return [required(f"{path}.rollingUpdate")]
    path = f"{path}.rollingUpdate"
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    errors = check.count_or_percent(f"{path}.maxUnavailable", unavailable)
    errors += check.count_or_percent(f"{path}.maxSurge", surge)
    errors += check.at_most_100_percent(f"{path}.maxUnavailable", unavailable)
    errors += check.at_most_100_percent(f"{path}.maxSurge", surge)
    no_unavailable, no_surge = check.is_zero_count(unavailable), check.is_zero_count(surge)
    if not no_unavailable and not no_surge:
        errors.append(invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    elif no_unavailable and no_surge:
        errors.append(required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return errors


def validate_status_update(new: Object, old: Object) -> Errors:
    status, before = new.get("status") or {}, old.get("status") or {}
    errors: Errors = []
    for field in (*_COUNTS, *_OTHER_COUNTS):
        errors += check.not_negative(f"status.{field}", status.get(field))
    return errors + check.not_decremented("status.collisionCount", status, before, "collisionCount")
