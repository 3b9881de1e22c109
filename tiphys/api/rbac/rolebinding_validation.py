"""RoleBinding and ClusterRoleBinding: a role that stays, and subjects that can exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_subdomain, is_path_segment
from tiphys.api.rbac.defaults import GROUP
from tiphys.api.status import invalid, not_supported, required

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    namespaced = obj.get("kind") == "RoleBinding"
    role = obj.get("roleRef") or {}
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    errors: Errors = []
    if role.get("apiGroup") != GROUP:
        errors.append(not_supported("roleRef.apiGroup", role.get("apiGroup", ""), (GROUP,)))
    if role.get("kind") not in kinds:
        errors.append(not_supported("roleRef.kind", role.get("kind", ""), kinds))
    errors += check.name("roleRef.name", role.get("name", ""), is_path_segment)
    for index, subject in enumerate(obj.get("subjects") or []):
        errors += _subject(f"subjects[{index}]", subject, namespaced=namespaced)
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    errors = validate(new)
    role, before = new.get("roleRef") or {}, old.get("roleRef") or {}
    if role != before:
        shown = {key[0].upper() + key[1:]: role.get(key, "") for key in ("apiGroup", "kind", "name")}
        shown = {"APIGroup" if key == "ApiGroup" else key: value for key, value in shown.items()}
        errors.append(invalid("roleRef", shown, "cannot change roleRef"))
    return errors


def _subject(path: str, subject: Object, *, namespaced: bool) -> Errors:
    kind, name, group = subject.get("kind", ""), subject.get("name", ""), subject.get("apiGroup", "")
    errors: Errors = [] if name else [required(f"{path}.name")]
    if kind == "ServiceAccount":
        errors += check.optional_name(f"{path}.name", name, is_dns1123_subdomain)
        if group:
            errors.append(not_supported(f"{path}.apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            errors.append(required(f"{path}.namespace"))
    elif kind in ("User", "Group"):
        if not name:
            errors.append(invalid(f"{path}.name", name, f"{kind.lower()} name cannot be empty"))
        if group != GROUP:
            errors.append(not_supported(f"{path}.apiGroup", group, (GROUP,)))
    else:
        errors.append(not_supported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group")))
    return errors
