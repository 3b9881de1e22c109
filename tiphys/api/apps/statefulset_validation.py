"""What a stateful set may say, and what of it may not change.

Upstream does not look into the pod template here: claims made from templates stand in for its volumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.apps.workload_validation import selects
from tiphys.api.core.podspec_validation import annotation_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_label
from tiphys.api.status import forbidden_field, invalid, not_supported, required

Object = Mapping[str, Any]
_MUTABLE = (
    *("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit"),
    *("persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
)


def validate(obj: Object) -> Errors:
    return check.object_name(obj, is_dns1123_label) + _spec(obj.get("spec") or {})


def validate_update(new: Object, old: Object) -> Errors:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = _spec(spec)
    if any(spec.get(name) != before.get(name) for name in {*spec, *before} - set(_MUTABLE)):
        names = ", ".join(f"'{name}'" for name in _MUTABLE[:-1])
        text = f"updates to statefulset spec for fields other than {names} and '{_MUTABLE[-1]}' are forbidden"
        errors.append(forbidden_field("spec", text))
    return errors


def _spec(spec: Object) -> Errors:
    policy = spec.get("podManagementPolicy", "")
    errors: Errors = []
    if not policy:
        errors.append(required("spec.podManagementPolicy"))
    elif policy not in ("OrderedReady", "Parallel"):
        errors.append(invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    errors += _update_strategy(spec.get("updateStrategy") or {})
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for moment in ("whenDeleted", "whenScaled"):
        value = retention.get(moment, "")
        if retention and value not in ("Retain", "Delete"):
            path = f"spec.persistentVolumeClaimRetentionPolicy.{moment}"
            errors.append(not_supported(path, value, ("Retain", "Delete")))
    errors += check.not_negative("spec.replicas", spec.get("replicas"))
    errors += check.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    errors += check.not_negative("spec.ordinals.start", (spec.get("ordinals") or {}).get("start"))
    errors += check.optional_name("spec.serviceName", spec.get("serviceName"), is_dns1123_label)
    errors += _selector(spec.get("selector"))
    return errors + _template(spec.get("selector"), spec.get("template") or {})


def _update_strategy(strategy: Object) -> Errors:
    kind, rolling, path = strategy.get("type", ""), strategy.get("rollingUpdate"), "spec.updateStrategy"
    if not kind:
        return [required(path)]
    if kind == "OnDelete":
        shown = _go_rolling(rolling)
        text = "only allowed for updateStrategy 'RollingUpdate'"
        return [] if rolling is None else [invalid(f"{path}.rollingUpdate", shown, text)]
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": _go_rolling(rolling)}
        return [invalid(path, shown, "must be 'RollingUpdate' or 'OnDelete'")]
    if rolling is None:
        return []
    errors = check.not_negative(f"{path}.rollingUpdate.partition", rolling.get("partition"))
    unavailable, here = rolling.get("maxUnavailable"), f"{path}.rollingUpdate.maxUnavailable"
    if unavailable is not None:
        errors += check.count_or_percent(here, unavailable)
        if check.is_zero_count(unavailable):
            errors.append(invalid(here, unavailable, "cannot be 0"))
        errors += check.at_most_100_percent(here, unavailable)
    return errors


def _go_rolling(rolling: Object | None) -> dict[str, Any] | None:
    """As messages show it: the names of upstream's own struct."""
    if rolling is None:
        return None
    return {"Partition": rolling.get("partition", 0), "MaxUnavailable": rolling.get("maxUnavailable")}


def _selector(selector: Object | None) -> Errors:
    if selector is None:
        return [required("spec.selector")]
    errors = check.label_selector("spec.selector", selector)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(invalid("spec.selector", selector, "empty selector is invalid for statefulset"))
    return errors


def _template(selector: Object | None, template: Object) -> Errors:
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    labels = metadata.get("labels") or {}
    errors: Errors = []
    if selector is not None and not selects(selector, labels):
        text = "`selector` does not match template `labels`"
        errors.append(invalid("spec.template.metadata.labels", labels or None, text))
    errors += check.labels("spec.template.labels", labels)
    errors += annotation_errors("spec.template.annotations", metadata.get("annotations"))
    if spec.get("restartPolicy") != "Always":
        errors.append(not_supported("spec.template.spec.restartPolicy", spec.get("restartPolicy", ""), ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        text = "activeDeadlineSeconds in StatefulSet is not Supported"
        errors.append(forbidden_field("spec.template.spec.activeDeadlineSeconds", text))
    return errors


def validate_status_update(new: Object, old: Object) -> Errors:
    status, before = new.get("status") or {}, old.get("status") or {}
    counts = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    errors: Errors = []
    for field in (*counts, "observedGeneration", "collisionCount"):
        errors += check.not_negative(f"status.{field}", status.get(field))
    for field in counts[1:]:
        if status.get(field, 0) > status.get("replicas", 0):
            errors.append(invalid(f"status.{field}", status[field], "cannot be greater than status.replicas"))
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        text = "cannot be greater than status.readyReplicas"
        errors.append(invalid("status.availableReplicas", status["availableReplicas"], text))
    return errors + check.not_decremented("status.collisionCount", status, before, "collisionCount")
