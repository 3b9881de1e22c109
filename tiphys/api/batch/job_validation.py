"""What a job may say, and what of it may not change."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.batch.podfailurepolicy_validation import pod_failure_policy_errors, success_policy_errors
from tiphys.api.core.podspec_validation import pod_template_errors
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_label, is_dns1123_subdomain
from tiphys.api.selectors import SelectorError, from_label_selector
from tiphys.api.status import invalid, not_supported, required, too_long

Object = Mapping[str, Any]
_MAX_INDEXED, _SOFT_COMPLETIONS, _HIGH_COMPLETIONS_LIMIT = 100_000, 100_000, 10_000
_MAX_MANAGER = 63
_UID_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid")
_NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")
_IMMUTABLE = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
_SCHEDULING = ("affinity", "nodeSelector", "tolerations", "schedulingGates")


def validate(obj: Object) -> Errors:
    spec, metadata = obj.get("spec") or {}, obj.get("metadata") or {}
    errors = check.object_name(obj, is_dns1123_subdomain) + _generated_selector(metadata, spec)
    errors += job_spec_errors("spec", spec) + _selector("spec", spec)
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > 0:
        longest = f"{metadata.get('name', '')}-{spec['completions'] - 1}"
        for text in is_dns1123_label(longest):
            detail = f"will not able to create pod with invalid DNS label: {text}"
            errors.append(invalid("metadata.name", metadata.get("name", ""), detail))
    return errors


def _generated_selector(metadata: Object, spec: Object) -> Errors:
    """A job that does not bring its own selector has one that fits no other job's pods."""
    if spec.get("manualSelector") or spec.get("selector") is None:
        return []
    if not metadata.get("uid"):
        return [required("metadata.uid")]
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    uid, name = str(metadata["uid"]), str(metadata.get("name", ""))
    expected = {**dict.fromkeys(_UID_LABELS, uid), **dict.fromkeys(_NAME_LABELS, name)}
    errors: Errors = []
    for key in (_UID_LABELS[1], _NAME_LABELS[1], _UID_LABELS[0], _NAME_LABELS[0]):
        path, text = f"spec.template.metadata.labels[{key}]", f"must be '{expected[key]}'"
        if key not in labels:
            errors.append(required(path, text))
        elif labels[key] != expected[key]:
            errors.append(invalid(path, labels[key], text))
    if not _matches(spec["selector"], expected):
        errors.append(invalid("spec.selector", spec["selector"], "`selector` not auto-generated"))
    return errors


def _matches(selector: Object, labels: Mapping[str, str]) -> bool:
    try:
        return from_label_selector(selector).matches(labels)
    except (SelectorError, KeyError):
        return True  # a broken selector has its own message


def _selector(path: str, spec: Object) -> Errors:
    selector = spec.get("selector")
    if selector is None:
        return [required(f"{path}.selector")]
    errors = check.label_selector(f"{path}.selector", selector)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not _matches(selector, labels):
        text = "`selector` does not match template `labels`"
        errors.append(invalid(f"{path}.template.metadata.labels", labels or None, text))
    return errors


def job_spec_errors(path: str, spec: Object) -> Errors:
    """The spec of a job or of a job template, but for its selector."""
    errors: Errors = []
    counts = (
        *("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"),
        *("backoffLimitPerIndex", "maxFailedIndexes"),
    )
    for field in counts:
        errors += check.not_negative(f"{path}.{field}", spec.get(field))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        errors.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    manager = spec.get("managedBy")
    if manager is not None:
        errors += check.domain_prefixed_path(f"{path}.managedBy", manager)
        if len(manager) > _MAX_MANAGER:
            errors.append(too_long(f"{path}.managedBy", _MAX_MANAGER))
    errors += _completion_mode(path, spec)
    if spec.get("podFailurePolicy") is not None:
        errors += pod_failure_policy_errors(f"{path}.podFailurePolicy", spec)
    if spec.get("successPolicy") is not None:
        errors += success_policy_errors(f"{path}.successPolicy", spec)
    errors += _replacement_policy(f"{path}.podReplacementPolicy", spec)
    errors += pod_template_errors(f"{path}.template", spec.get("template") or {})
    return errors + _restart_policy(f"{path}.template.spec.restartPolicy", spec)


def _completion_mode(path: str, spec: Object) -> Errors:
    mode, per_index = spec.get("completionMode"), spec.get("backoffLimitPerIndex")
    if mode is not None and mode not in ("NonIndexed", "Indexed"):
        return [not_supported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed"))]
    if mode != "Indexed":
        return [
            invalid(f"{path}.{field}", spec[field], "requires indexed completion mode")
            for field in ("backoffLimitPerIndex", "maxFailedIndexes")
            if spec.get(field) is not None
        ]
    completions, parallelism, failed = (spec.get(name) for name in ("completions", "parallelism", "maxFailedIndexes"))
    errors: Errors = []
    if completions is None:
        errors.append(required(f"{path}.completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > _MAX_INDEXED:
        text = f"must be less than or equal to {_MAX_INDEXED} when completion mode is Indexed"
        errors.append(invalid(f"{path}.parallelism", parallelism, text))
    if completions is not None and failed is not None and failed > completions:
        errors.append(invalid(f"{path}.maxFailedIndexes", failed, "must be less than or equal to completions"))
    if failed is not None and failed > _MAX_INDEXED:
        errors.append(invalid(f"{path}.maxFailedIndexes", failed, f"must be less than or equal to {_MAX_INDEXED}"))
    if completions is not None and completions > _SOFT_COMPLETIONS and per_index is not None:
        if failed is None:
            text = f"must be specified when completions is above {_SOFT_COMPLETIONS}"
            errors.append(required(f"{path}.maxFailedIndexes", text))
        limit, when = _HIGH_COMPLETIONS_LIMIT, f"when completions are above {_SOFT_COMPLETIONS}"
        text = f"must be less than or equal to {limit} {when} and used with backoff limit per index"
        for field, value in (("parallelism", parallelism), ("maxFailedIndexes", failed)):
            if value is not None and value > limit:
                errors.append(invalid(f"{path}.{field}", value, text))
    return errors


def _replacement_policy(path: str, spec: Object) -> Errors:
    policy = spec.get("podReplacementPolicy")
    if policy is None:
        return []
    supported = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
    return [] if policy in supported else [not_supported(path, policy, supported)]


def _restart_policy(path: str, spec: Object) -> Errors:
    policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy", "")
    if policy in ("", "Always"):  # which is what an unset one was defaulted to
        return [required(path, 'valid values: "OnFailure", "Never"')]
    if policy not in ("OnFailure", "Never"):
        return [not_supported(path, policy, ("OnFailure", "Never"))]
    if spec.get("podFailurePolicy") is not None and policy != "Never":
        return [invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')]
    return []


def validate_update(new: Object, old: Object) -> Errors:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = job_spec_errors("spec", spec) + _selector("spec", spec)
    errors += _completions(spec, before)
    errors += check.immutable("spec.selector", spec.get("selector"), before.get("selector"))
    errors += _template_change(spec, before, old)
    for field in _IMMUTABLE:
        errors += check.immutable(f"spec.{field}", spec.get(field), before.get(field))
    return errors


def _completions(spec: Object, before: Object) -> Errors:
    """An indexed job is resized by changing completions together with parallelism."""
    new, old = spec.get("completions"), before.get("completions")
    if new == old or spec.get("completionMode") != "Indexed":
        return check.immutable("spec.completions", new, old)
    if new is None or old is None:
        return check.immutable("spec.completions", new, old)
    if new != spec.get("parallelism"):
        text = "can only be modified in tandem with spec.parallelism"
        return [invalid("spec.completions", new, f"{text} such that spec.completions == spec.parallelism")]
    return []


def _template_change(spec: Object, before: Object, old: Object) -> Errors:
    """Where the pods of a suspended job may run can be decided until the first of them starts."""
    template, was = deepcopy(dict(spec.get("template") or {})), deepcopy(dict(before.get("template") or {}))
    if before.get("suspend") and not (old.get("status") or {}).get("startTime"):
        for one in (template, was):
            for field in _SCHEDULING:
                (one.get("spec") or {}).pop(field, None)
            for field in ("labels", "annotations"):
                (one.get("metadata") or {}).pop(field, None)
    if template == was or (not {**template} and not {**was}):
        return []
    return [invalid("spec.template", spec.get("template"), "field is immutable")]


def validate_status_update(new: Object, old: Object) -> Errors:
    status, before = new.get("status") or {}, old.get("status") or {}
    errors: Errors = []
    for field in ("active", "succeeded", "failed", "ready", "terminating"):
        errors += check.not_negative(f"status.{field}", status.get(field))
    if (status.get("ready") or 0) > status.get("active", 0):
        text = "cannot set more ready pods than active"
        errors.append(invalid("status.ready", status.get("ready"), text))
    conditions = {item.get("type"): item.get("status") for item in status.get("conditions") or []}
    done = [name for name in ("Complete", "Failed") if conditions.get(name) == "True"]
    if len(done) > 1:
        text = "cannot set Complete=True and Failed=true conditions"
        errors.append(invalid("status.conditions", status.get("conditions"), text))
    if status.get("completionTime") and "Complete" not in done:
        text = "cannot set completionTime when there is no Complete=True condition"
        errors.append(invalid("status.completionTime", status["completionTime"], text))
    if done and status.get("active", 0) > 0:
        errors.append(invalid("status.active", status["active"], "active>0 is invalid for finished job"))
    gone = {
        item["type"]
        for item in before.get("conditions") or []
        if item.get("status") == "True" and item.get("type") in ("Complete", "Failed")
    } - set(done)
    for name in sorted(gone):
        errors.append(invalid("status.conditions", status.get("conditions"), f"cannot disable {name}=True condition"))
    return errors
