"""What a deployment may say, and what of it may not change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.apps.workload_validation import workload_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import forbidden_field, invalid, required

Object = Mapping[str, Any]


def validate(deployment: Object) -> Errors:
    return check.object_name(deployment, is_dns1123_subdomain) + _spec(deployment.get("spec") or {})


def validate_update(new: Object, old: Object) -> Errors:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    return _spec(spec) + check.immutable("spec.selector", spec.get("selector"), before.get("selector"))


def validate_status_update(new: Object, old: Object) -> Errors:
    status = new.get("status") or {}
    fields = ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    errors: Errors = []
    for field in (*fields, "unavailableReplicas", "collisionCount"):
        errors += check.not_negative(f"status.{field}", status.get(field))
    replicas, ready = status.get("replicas", 0), status.get("readyReplicas", 0)
    for field in ("updatedReplicas", "readyReplicas", "availableReplicas"):
        if status.get(field, 0) > replicas:
            errors.append(invalid(f"status.{field}", status[field], "cannot be greater than status.replicas"))
    if status.get("availableReplicas", 0) > ready:
        text = "cannot be greater than readyReplicas"
        errors.append(invalid("status.availableReplicas", status["availableReplicas"], text))
    return errors


def _spec(spec: Object) -> Errors:
    errors = workload_errors(spec, kind="Deployment")
    errors += _strategy("spec.strategy", spec.get("strategy") or {})
    errors += check.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds", 0)
    errors += check.not_negative("spec.progressDeadlineSeconds", deadline)
    if deadline is not None and deadline <= ready:
        errors.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return errors


def _strategy(path: str, strategy: Object) -> Errors:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is None:
            return []
        return [forbidden_field(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")]
    if kind != "RollingUpdate":
        return check.one_of(f"{path}.type", kind, ("Recreate", "RollingUpdate"), optional=False)
    if rolling is None:
        return [required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    here = f"{path}.rollingUpdate"
    errors = check.count_or_percent(f"{here}.maxUnavailable", unavailable)
    errors += check.count_or_percent(f"{here}.maxSurge", surge)
    if unavailable in (0, "0%") and surge in (0, "0%"):
        errors.append(invalid(f"{here}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"))
    return errors + check.at_most_100_percent(f"{here}.maxUnavailable", unavailable)
