"""What Deployment and ReplicaSet have in common: replicas, a selector, and a template the selector matches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.core.podspec_validation import template_errors
from tiphys.api.field_checks import Errors
from tiphys.api.selectors import SelectorError, from_label_selector
from tiphys.api.status import invalid, required


def workload_errors(spec: Mapping[str, Any], *, kind: str) -> Errors:
    """`kind` is the word upstream's messages use."""
    selector, template = spec.get("selector"), spec.get("template") or {}
    errors = check.not_negative("spec.replicas", spec.get("replicas"))
    errors += check.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    if selector is None:
        errors.append(required("spec.selector"))
    else:
        problems = check.label_selector("spec.selector", selector)
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            problems.append(invalid("spec.selector", selector, "empty selector is invalid for deployment"))
        errors += problems
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selects(selector, labels):
        text = "`selector` does not match template `labels`"
        errors.append(invalid("spec.template.metadata.labels", labels, text))
    return errors + template_errors("spec.template", template, kind=kind)


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """An empty or broken selector has its own message; an absent one selects nothing."""
    try:
        expression = from_label_selector(selector)
    except (SelectorError, KeyError):
        return True
    return expression.empty or expression.matches(labels)
