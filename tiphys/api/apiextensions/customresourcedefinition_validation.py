"""What a definition must be: its names, its versions, and schemas that are structural.

Upstream validates a form in which what all versions have in common stands once: so the paths are spec.validation,
spec.subresources and spec.additionalPrinterColumns where the versions agree, and spec.versions[i].... where not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from tiphys.api.apiextensions.conversion_validation import conversion_errors
from tiphys.api.apiextensions.version_validation import (
    column_errors,
    schema_errors,
    selectable_errors,
    subresource_errors,
)
from tiphys.api.names import is_dns1035_label, is_dns1123_subdomain
from tiphys.api.status import FieldError, invalid, not_supported, required

Errors = list[FieldError]
Obj = Mapping[str, Any]

APPROVED = "api-approved.kubernetes.io"
_SEE = "see https://github.com/kubernetes/enhancements/pull/1111"


def validate(obj: Obj) -> Errors:
    return [*_name(obj), *_approval(obj), *_spec(obj.get("spec", {}))]


def validate_update(new: Obj, old: Obj) -> Errors:
    spec, before = new.get("spec", {}), old.get("spec", {})
    errors = [*_spec(spec)] if spec != before else []
    if is_established(old):
        errors += _immutable("spec.scope", spec.get("scope"), before.get("scope"))
        errors += _immutable("spec.names.kind", spec["names"].get("kind"), before["names"].get("kind"))
    errors += _immutable("spec.group", spec.get("group"), before.get("group"))
    errors += _immutable("spec.names.plural", spec["names"].get("plural"), before["names"].get("plural"))
    return errors + _stored_versions(new)


def validate_status_update(new: Obj, old: Obj) -> Errors:
    return _stored_versions(new)


def is_established(obj: Obj) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Established" and one.get("status") == "True" for one in conditions)


def _immutable(path: str, new: Any, old: Any) -> Errors:
    return [] if new == old else [invalid(path, new, "field is immutable")]


def _name(obj: Obj) -> Errors:
    name, spec = obj.get("metadata", {}).get("name", ""), obj.get("spec", {})
    errors = [invalid("metadata.name", name, text) for text in is_dns1123_subdomain(name)]
    if name != f"{spec.get('names', {}).get('plural', '')}.{spec.get('group', '')}":
        errors.append(invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    return errors


def is_protected(group: str) -> bool:
    """Groups of the Kubernetes community."""
    return group in ("k8s.io", "kubernetes.io") or group.endswith((".k8s.io", ".kubernetes.io"))


def approval(obj: Obj) -> tuple[str, str]:
    """("Approved" | "Unapproved" | "Missing" | "Invalid", upstream's text) for a definition in a protected group."""
    found = (obj.get("metadata", {}).get("annotations") or {}).get(APPROVED, "")
    if not found:
        return "Missing", f'protected groups must have approval annotation "{APPROVED}", {_SEE}'
    if found.startswith("unapproved"):
        return "Unapproved", f'not approved: "{found}"'
    try:
        url = urlsplit(found)
    except ValueError:
        url = urlsplit("")
    if not url.netloc or not url.scheme:
        reason = 'with either a URL or a reason starting with "unapproved"'
        return "Invalid", f'protected groups must have approval annotation "{APPROVED}" {reason}, {_SEE}'
    return "Approved", f"approved in {found}"


def _approval(obj: Obj) -> Errors:
    if not is_protected(obj.get("spec", {}).get("group", "")):
        return []
    state, text = approval(obj)
    path = f"metadata.annotations[{APPROVED}]"
    if state == "Missing":
        return [required(path, text)]
    return [invalid(path, obj["metadata"]["annotations"][APPROVED], text)] if state == "Invalid" else []


def _spec(spec: Obj) -> Iterator[FieldError]:
    group, scope, versions = spec.get("group", ""), spec.get("scope", ""), spec.get("versions") or []
    if not group:
        yield required("spec.group")
    elif wrong := is_dns1123_subdomain(group):
        yield invalid("spec.group", group, ",".join(wrong))
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    if not scope:
        yield required("spec.scope")
    elif scope not in ("Cluster", "Namespaced"):
        yield not_supported("spec.scope", scope, ("Cluster", "Namespaced"))
    yield from _versions(versions)
    yield from _names(spec.get("names") or {}, "spec.names")
    yield from conversion_errors(spec.get("conversion") or {}, "spec.conversion")
    if spec.get("preserveUnknownFields"):
        instead = "set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield invalid("spec.preserveUnknownFields", True, f"cannot set to true, {instead}")
    yield from _contents(versions)


def _versions(versions: Sequence[Obj]) -> Iterator[FieldError]:
    names = [version.get("name", "") for version in versions]
    for index, name in enumerate(names):
        if wrong := is_dns1035_label(name):
            yield invalid(f"spec.versions[{index}].name", name, ",".join(wrong))
        warning = versions[index].get("deprecationWarning")
        if warning is not None and not versions[index].get("deprecated"):
            where = f"spec.versions[{index}].deprecationWarning"
            yield invalid(where, warning, "can only be set for deprecated versions")
    if len(set(names)) != len(names):
        yield invalid("spec.versions", names, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield invalid("spec.versions", names, "must have exactly one version marked as storage version")


def _names(names: Obj, path: str) -> Iterator[FieldError]:
    for name in ("plural", "singular", "kind", "listKind"):
        if not names.get(name):
            yield required(f"{path}.{name}")
    for name in ("plural", "singular"):
        if names.get(name) and (wrong := is_dns1035_label(names[name])):
            yield invalid(f"{path}.{name}", names[name], ",".join(wrong))
    for name in ("kind", "listKind"):
        if names.get(name) and (wrong := is_dns1035_label(names[name].lower())):
            text = "may have mixed case, but should otherwise match: " + ",".join(wrong)
            yield invalid(f"{path}.{name}", names[name], text)
    for field in ("shortNames", "categories"):
        if field == "categories" and names.get("kind") and names.get("kind") == names.get("listKind"):
            yield invalid(f"{path}.listKind", names["listKind"], "kind and listKind may not be the same")
        for index, one in enumerate(names.get(field) or ()):
            if wrong := is_dns1035_label(one):
                yield invalid(f"{path}.{field}[{index}]", one, ",".join(wrong))


def _contents(versions: Sequence[Obj]) -> Iterator[FieldError]:
    """Schemas, subresources, columns and selectable fields of every version."""
    for path, members in _where(versions, "schema", "spec.validation"):
        schema = (members.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            place = path if path != "spec.validation" else "spec.versions[0].schema"
            yield required(f"{place}.openAPIV3Schema", "schemas are required")
            continue
        has_status = "status" in (members.get("subresources") or {})
        yield from schema_errors(schema, f"{path}.openAPIV3Schema", has_status=has_status)
    for path, members in _where(versions, "subresources", "spec.subresources"):
        yield from subresource_errors(members.get("subresources") or {}, path)
    for path, members in _where(versions, "additionalPrinterColumns", "spec.additionalPrinterColumns"):
        yield from column_errors(members.get("additionalPrinterColumns") or (), path)
    for path, members in _where(versions, "selectableFields", "spec.selectableFields"):
        schema = (members.get("schema") or {}).get("openAPIV3Schema") or {}
        yield from selectable_errors(members.get("selectableFields") or (), schema, path)


def _where(versions: Sequence[Obj], name: str, shared: str) -> Iterator[tuple[str, Obj]]:
    """(path, version) once where all versions agree on a member, else for each."""
    if versions and all(version.get(name) == versions[0].get(name) for version in versions):
        yield shared, versions[0]
        return
    for index, version in enumerate(versions):
        yield f"spec.versions[{index}].{name}", version


def _stored_versions(obj: Obj) -> Errors:
    known = {version.get("name") for version in obj.get("spec", {}).get("versions") or ()}
    stored = (obj.get("status") or {}).get("storedVersions") or ()
    return [
        invalid(
            f"status.storedVersions[{index}]",
            name,
            f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions "
            f"until a storage migration ensures no data remains persisted in {name} and removes {name} from "
            "status.storedVersions",
        )
        for index, name in enumerate(stored)
        if name not in known
    ]
