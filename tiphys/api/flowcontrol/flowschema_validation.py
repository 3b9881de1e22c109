"""FlowSchema: a priority level, a precedence, and rules that say whose requests of which sort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_label, is_dns1123_subdomain
from tiphys.api.status import forbidden_field, invalid, not_supported, required

Object = Mapping[str, Any]
_MAX_PRECEDENCE = 10000
_EXEMPT = "exempt"
_SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
_DISTINGUISHERS = ("ByNamespace", "ByUser")
_VERBS = ("*", "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")


def validate(obj: Object) -> Errors:
    name = (obj.get("metadata") or {}).get("name", "")
    return check.object_name(obj, is_dns1123_subdomain) + _spec(obj.get("spec") or {}, name)


def validate_update(new: Object, old: Object) -> Errors:
    return validate(new)


def _spec(spec: Object, name: str) -> Errors:
    precedence = spec.get("matchingPrecedence", 0)
    errors: Errors = []
    if precedence <= 0:
        errors.append(invalid("spec.matchingPrecedence", precedence, "must be a positive value"))
    if precedence > _MAX_PRECEDENCE:
        text = f"must not be greater than {_MAX_PRECEDENCE}"
        errors.append(invalid("spec.matchingPrecedence", precedence, text))
    if precedence == 1 and name != _EXEMPT:
        text = "only the schema named 'exempt' may have matchingPrecedence 1"
        errors.append(invalid("spec.matchingPrecedence", precedence, text))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in _DISTINGUISHERS:
        errors.append(not_supported("spec.distinguisherMethod", _go_method(method), _DISTINGUISHERS))
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    if not level:
        errors.append(required("spec.priorityLevelConfiguration.name", "must reference a priority level"))
    else:
        problems = is_dns1123_subdomain(level)
        errors += [invalid("spec.priorityLevelConfiguration.name", level, text) for text in problems]
    return errors + check.each("spec.rules", spec.get("rules"), _rule)


def _go_method(method: Object) -> dict[str, Any]:
    """As messages show it: the names of upstream's own struct."""
    return {"Type": method.get("type", "")}


def _rule(path: str, rule: Object) -> Errors:
    errors: Errors = []
    if not rule.get("subjects"):
        errors.append(required(f"{path}.subjects", "subjects must contain at least one value"))
    errors += check.each(f"{path}.subjects", rule.get("subjects"), _subject)
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        errors.append(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
    errors += check.each(f"{path}.resourceRules", rule.get("resourceRules"), _resource_rule)
    return errors + check.each(f"{path}.nonResourceRules", rule.get("nonResourceRules"), _path_rule)


def _subject(path: str, subject: Object) -> Errors:
    kind = subject.get("kind", "")
    if kind not in _SUBJECTS:
        return [not_supported(f"{path}.kind", kind, tuple(_SUBJECTS))]
    own = _SUBJECTS[kind]
    errors: Errors = []
    for other in _SUBJECTS.values():
        if other != own and subject.get(other) is not None:
            errors.append(forbidden_field(f"{path}.{other}", f"{other} is forbidden when subject kind is not '{kind}'"))
    body = subject.get(own)
    if body is None:
        return [*errors, required(f"{path}.{own}", f"{own} is required when subject kind is '{kind}'")]
    if not body.get("name"):
        errors.append(required(f"{path}.{own}.name"))
    if kind == "ServiceAccount":
        if body.get("name") not in (None, "", "*"):
            problems = is_dns1123_subdomain(body["name"])
            errors += [invalid(f"{path}.{own}.name", body["name"], text) for text in problems]
        errors += check.name(f"{path}.{own}.namespace", body.get("namespace", ""), is_dns1123_label)
    return errors


def _resource_rule(path: str, rule: Object) -> Errors:
    errors = _verbs(path, rule)
    for field, text in (
        ("apiGroups", "resource rules must supply at least one api group"),
        ("resources", "resource rules must supply at least one resource"),
    ):
        values = rule.get(field) or []
        if not values:
            errors.append(required(f"{path}.{field}", text))
        elif len(values) > 1 and "*" in values:
            what = "if '*' is present, must not specify other api groups"
            what = what if field == "apiGroups" else "if '*' is present, must not specify other resources"
            errors.append(invalid(f"{path}.{field}", values, what))
    if not rule.get("namespaces") and not rule.get("clusterScope"):
        text = "resource rules that are not cluster scoped must supply at least one namespace"
        errors.append(required(f"{path}.namespaces", text))
    for index, namespace in enumerate(rule.get("namespaces") or []):
        problems = is_dns1123_label(namespace) if namespace != "*" else []
        errors += [invalid(f"{path}.namespaces[{index}]", namespace, text) for text in problems]
    return errors


def _path_rule(path: str, rule: Object) -> Errors:
    errors, urls = _verbs(path, rule), rule.get("nonResourceURLs") or []
    if not urls:
        text = "nonResourceURLs must contain at least one value"
        return [*errors, required(f"{path}.nonResourceURLs", text)]
    if len(urls) > 1 and "*" in urls:
        text = "if '*' is present, must not specify other non-resource URLs"
        errors.append(invalid(f"{path}.nonResourceURLs", urls, text))
    for index, url in enumerate(urls):
        if url != "*" and not url.startswith("/"):
            errors.append(invalid(f"{path}.nonResourceURLs[{index}]", url, "must start with slash"))
        elif " " in url:
            errors.append(invalid(f"{path}.nonResourceURLs[{index}]", url, "must not contain white-space"))
    return errors


def _verbs(path: str, rule: Object) -> Errors:
    verbs = rule.get("verbs") or []
    if not verbs:
        return [required(f"{path}.verbs", "verbs must contain at least one value")]
    if len(verbs) > 1 and "*" in verbs:
        return [invalid(f"{path}.verbs", verbs, "if '*' is present, must not specify other verbs")]
    bad = [verb for verb in verbs if verb not in _VERBS] if "apiGroups" in rule else []
    return [not_supported(f"{path}.verbs", bad, _VERBS)] if bad else []
