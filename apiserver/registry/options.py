"""The options of a write, from the query or from a DeleteOptions body, checked in upstream's words."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from apiserver.request import Request
from apiserver.requestinfo import Query, first, integer, truthy
from tiphys.api.status import FieldError, StatusError, bad_request, invalid, invalid_object, not_supported, too_long

_FIELD_VALIDATION = ("Ignore", "Strict", "Warn")
_PROPAGATION = ("Background", "Foreground", "Orphan")
_MANAGER_LIMIT_BYTES = 128
META_GROUP = "meta.k8s.io"


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """CreateOptions, UpdateOptions and PatchOptions; `kind` is which of them."""

    kind: str = "UpdateOptions"
    dry_run: bool = False
    manager: str = "unknown"
    manager_given: bool = False
    field_validation: str = "Warn"
    force: bool = False


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """None means "not given"; uid and resource_version are preconditions."""

    dry_run: bool = False
    grace_period_seconds: int | None = None
    propagation_policy: str | None = None
    orphan_dependents: bool | None = None
    uid: str | None = None
    resource_version: str | None = None
    raw: dict[str, Any] = field(default_factory=dict)


def write_options(request: Request, kind: str, *, apply: bool = False) -> WriteOptions:
    """Raises 422 naming what is wrong with the query."""
    query = request.query
    errors = _check_dry_run(list(query.get("dryRun", ())))
    validation = first(query, "fieldValidation") or "Warn"
    if validation not in _FIELD_VALIDATION:
        errors.append(not_supported("fieldValidation", validation, _FIELD_VALIDATION))
    manager = first(query, "fieldManager")
    errors += _check_manager(manager)
    if apply and not manager:
        errors.append(FieldError("fieldManager", "FieldValueRequired", "Required value: is required for apply patch"))
    if kind == "PatchOptions" and not apply and "force" in query:
        errors.append(FieldError("force", "FieldValueForbidden", "Forbidden: may not be specified for non-apply patch"))
    if errors:
        raise invalid_object(META_GROUP, kind, "", errors)
    return WriteOptions(
        kind,
        bool(query.get("dryRun")),
        manager or _manager_of(request.headers.get("User-Agent", "")),
        bool(manager),
        validation,
        truthy(query, "force"),
    )


def _check_dry_run(values: list[str]) -> list[FieldError]:
    if not values or set(values) == {"All"}:
        return []
    wrong = next(value for value in values if value != "All")
    return [not_supported("dryRun", wrong, ("All",))]


def _check_manager(manager: str) -> list[FieldError]:
    errors = []
    if len(manager.encode()) > _MANAGER_LIMIT_BYTES:
        errors.append(too_long("fieldManager", _MANAGER_LIMIT_BYTES))
    if not manager.isprintable():
        errors.append(invalid("fieldManager", manager, "should not contain unprintable characters"))
    return errors


@lru_cache(maxsize=256)
def _manager_of(user_agent: str) -> str:
    """The field manager of a client that names none: its user agent up to the slash."""
    name = user_agent.partition("/")[0][:_MANAGER_LIMIT_BYTES]
    return "".join(char for char in name if char.isprintable()) or "unknown"


def delete_options(body: dict[str, Any] | None, query: Query) -> DeleteOptions:
    """DeleteOptions of a body, or of the query when there is none.  Raises 400 and 422."""
    source = body if body else _delete_query(query)
    kind = source.get("kind")
    if kind not in (None, "", "DeleteOptions"):
        raise bad_request(f'decoded object cannot be converted to DeleteOptions, got kind "{kind}"')
    options = _read_delete(source)
    errors = _check_dry_run(_strings(source.get("dryRun")))
    policy, orphan = options.propagation_policy, options.orphan_dependents
    if policy is not None and orphan is not None:
        text = "Invalid value: " + f'"{policy}"' + ": orphanDependents and deletionPropagation cannot be both set"
        errors.append(FieldError("propagationPolicy", "FieldValueInvalid", text))
    if policy is not None and policy not in _PROPAGATION:
        errors.append(not_supported("propagationPolicy", policy, (*_PROPAGATION, "nil")))
    if errors:
        raise invalid_object(META_GROUP, "DeleteOptions", "", errors)
    return options


def _delete_query(query: Query) -> dict[str, Any]:
    source: dict[str, Any] = {}
    if query.get("dryRun"):
        source["dryRun"] = list(query["dryRun"])
    if query.get("propagationPolicy"):
        source["propagationPolicy"] = first(query, "propagationPolicy")
    if query.get("orphanDependents"):
        source["orphanDependents"] = truthy(query, "orphanDependents")
    grace = integer(query, "gracePeriodSeconds")
    if grace is not None:
        source["gracePeriodSeconds"] = grace
    return source


def _read_delete(source: dict[str, Any]) -> DeleteOptions:
    preconditions = source.get("preconditions") or {}
    grace, orphan = source.get("gracePeriodSeconds"), source.get("orphanDependents")
    policy, uid = source.get("propagationPolicy"), None
    if not isinstance(preconditions, dict):
        raise _wrong_type("DeleteOptions.preconditions", "v1.Preconditions")
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool)):
        raise _wrong_type("DeleteOptions.gracePeriodSeconds", "int64")
    if orphan is not None and not isinstance(orphan, bool):
        raise _wrong_type("DeleteOptions.orphanDependents", "bool")
    if policy is not None and not isinstance(policy, str):
        raise _wrong_type("DeleteOptions.propagationPolicy", "v1.DeletionPropagation")
    uid, version = preconditions.get("uid"), preconditions.get("resourceVersion")
    for name, value in (("uid", uid), ("resourceVersion", version)):
        if value is not None and not isinstance(value, str):
            raise _wrong_type(f"Preconditions.preconditions.{name}", "string")
    return DeleteOptions(bool(source.get("dryRun")), grace, policy, orphan, uid, version, source)


def _strings(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong_type("DeleteOptions.dryRun", "[]string")
    return value


def _wrong_type(field_name: str, go_type: str) -> StatusError:
    return bad_request(f"json: cannot unmarshal value into Go struct field {field_name} of type {go_type}")
