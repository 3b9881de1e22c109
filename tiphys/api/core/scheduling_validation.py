"""Affinity, tolerations and topology spread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_label_value, is_qualified_name
from tiphys.api.status import duplicate, forbidden_field, invalid, not_supported, required

Object = Mapping[str, Any]
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED, _PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)


def toleration_errors(path: str, item: Object) -> Errors:
    key, operator, effect = item.get("key", ""), item.get("operator", ""), item.get("effect", "")
    value, seconds = item.get("value", ""), item.get("tolerationSeconds")
    errors = [invalid(f"{path}.key", key, text) for text in is_qualified_name(key)] if key else []
    if not key and operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.append(invalid(f"{path}.operator", operator, text))
    if seconds is not None and effect != "NoExecute":
        errors.append(invalid(f"{path}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
    if operator in ("Equal", ""):
        errors += [invalid(f"{path}.operator", value, text) for text in is_label_value(value)]
    elif operator == "Exists":
        if value:
            errors.append(invalid(f"{path}.operator", item, "value must be empty when `operator` is 'Exists'"))
    elif operator not in ("Lt", "Gt"):
        errors.append(not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    return errors + check.one_of(f"{path}.effect", effect, EFFECTS)


def topology_spread_errors(path: str, constraints: list[Object]) -> Errors:
    errors: Errors = []
    seen: set[tuple[str, str]] = set()
    for index, item in enumerate(constraints):
        here = f"{path}[{index}]"
        key, unsatisfiable = item.get("topologyKey", ""), item.get("whenUnsatisfiable", "")
        if item.get("maxSkew", 0) <= 0:
            errors.append(invalid(f"{here}.maxSkew", item.get("maxSkew", 0), "must be greater than zero"))
        if not key:
            errors.append(required(f"{here}.topologyKey", "can not be empty"))
        supported = ("DoNotSchedule", "ScheduleAnyway")
        if unsatisfiable not in supported:
            errors.append(not_supported(f"{here}.whenUnsatisfiable", unsatisfiable, supported))
        if (key, unsatisfiable) in seen:
            errors.append(duplicate(f"{here}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {unsatisfiable}}}"))
        seen.add((key, unsatisfiable))
        minimum = item.get("minDomains")
        if minimum is not None and minimum <= 0:
            errors.append(invalid(f"{here}.minDomains", minimum, "must be greater than zero"))
        if minimum is not None and unsatisfiable != "DoNotSchedule":
            text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {unsatisfiable}"
            errors.append(invalid(f"{here}.minDomains", minimum, text))
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if item.get(field) is not None:
                errors += check.one_of(f"{here}.{field}", item[field], ("Honor", "Ignore"), optional=False)
        errors += check.label_selector(f"{here}.labelSelector", item.get("labelSelector"))
    return errors


def affinity_errors(path: str, affinity: Object) -> Errors:
    errors: Errors = []
    node = affinity.get("nodeAffinity")
    if node is not None:
        if node.get(_REQUIRED) is not None:
            errors += node_selector_errors(f"{path}.nodeAffinity.{_REQUIRED}", node[_REQUIRED])
        errors += check.each(f"{path}.nodeAffinity.{_PREFERRED}", node.get(_PREFERRED), _preferred_node)
    for kind in ("podAffinity", "podAntiAffinity"):
        pods = affinity.get(kind) or {}
        errors += check.each(f"{path}.{kind}.{_REQUIRED}", pods.get(_REQUIRED), _pod_term)
        errors += check.each(f"{path}.{kind}.{_PREFERRED}", pods.get(_PREFERRED), _preferred_pod)
    return errors


def node_selector_errors(path: str, selector: Object) -> Errors:
    terms = selector.get("nodeSelectorTerms") or []
    if not terms:
        return [required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")]
    return check.each(f"{path}.nodeSelectorTerms", terms, _node_term)


def _node_term(path: str, term: Object) -> Errors:
    errors = check.each(f"{path}.matchExpressions", term.get("matchExpressions"), _node_requirement)
    return errors + check.each(f"{path}.matchFields", term.get("matchFields"), _node_field)


def _node_requirement(path: str, item: Object) -> Errors:
    operator, values, errors = item.get("operator", ""), item.get("values") or [], []
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden_field(f"{path}.values", text))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            errors.append(required(f"{path}.values", text))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    key = item.get("key", "")
    return errors + [invalid(f"{path}.key", key, text) for text in is_qualified_name(key)]


def _node_field(path: str, item: Object) -> Errors:
    errors: Errors = []
    if item.get("operator") not in ("In", "NotIn"):
        errors.append(invalid(f"{path}.operator", item.get("operator", ""), "not a valid selector operator"))
    elif len(item.get("values") or []) != 1:
        text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(required(f"{path}.values", text))
    if item.get("key") != "metadata.name":
        errors.append(invalid(f"{path}.key", item.get("key", ""), "not a valid field selector key"))
    return errors


def _preferred_node(path: str, item: Object) -> Errors:
    return _weight(path, item) + _node_term(f"{path}.preference", item.get("preference") or {})


def _weight(path: str, item: Object) -> Errors:
    weight = item.get("weight", 0)
    return [] if 1 <= weight <= 100 else [invalid(f"{path}.weight", weight, "must be in the range 1-100")]


def _preferred_pod(path: str, item: Object) -> Errors:
    return _weight(path, item) + _pod_term(f"{path}.podAffinityTerm", item.get("podAffinityTerm") or {})


def _pod_term(path: str, term: Object) -> Errors:
    errors = check.label_selector(f"{path}.labelSelector", term.get("labelSelector"))
    errors += check.label_selector(f"{path}.namespaceSelector", term.get("namespaceSelector"))
    key = term.get("topologyKey", "")
    if not key:
        return [*errors, required(f"{path}.topologyKey", "can not be empty")]
    return errors + [invalid(f"{path}.topologyKey", key, text) for text in is_qualified_name(key)]
