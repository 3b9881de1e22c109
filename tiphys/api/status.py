"""Errors as `Status` objects, in upstream's words (apimachinery api/errors, util/validation/field).

Every refusal inside the API server is a `StatusError`; the outermost filter writes it to the wire.  A validation
function returns `FieldError`s, never raises, so that one answer names everything that is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldError:
    """One cause of a 422: `field` is a path such as spec.containers[0].name."""

    field: str
    reason: str  # FieldValueRequired, FieldValueInvalid, FieldValueNotSupported, ...
    detail: str  # the text after the path: "Required value", 'Invalid value: "x": must be ...'

    def __str__(self) -> str:
        return f"{self.field}: {self.detail}"


def show(value: Any) -> str:
    """A value as field errors print it: strings quoted, other values as JSON."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_CAUSES_LIMIT = 1000  # a body of 3 MiB can be wrong in a million places


def required(path: str, detail: str = "") -> FieldError:
    return FieldError(path, "FieldValueRequired", "Required value" + (f": {detail}" if detail else ""))


def invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError(path, "FieldValueInvalid", f"Invalid value: {show(value)}" + (f": {detail}" if detail else ""))


def not_supported(path: str, value: Any, supported: Sequence[str]) -> FieldError:
    """`supported` is printed in the order given (upstream sorts it)."""
    text = ", ".join(show(item) for item in supported)
    return FieldError(path, "FieldValueNotSupported", f"Unsupported value: {show(value)}: supported values: {text}")


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError(path, "FieldValueDuplicate", f"Duplicate value: {show(value)}")


def not_found_field(path: str, value: Any) -> FieldError:
    return FieldError(path, "FieldValueNotFound", f"Not found: {show(value)}")


def forbidden_field(path: str, detail: str) -> FieldError:
    return FieldError(path, "FieldValueForbidden", f"Forbidden: {detail}")


def too_long(path: str, limit: int) -> FieldError:
    return FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")


def too_many(path: str, count: int, limit: int) -> FieldError:
    return FieldError(path, "FieldValueTooMany", f"Too many: {count}: must have at most {limit} items")


class StatusError(Exception):
    """A refusal with everything its `Status` object says."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after_seconds = retry_after_seconds

    def to_dict(self) -> dict[str, Any]:
        """The v1 `Status` object."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        details = dict(self.details or {})
        if self.retry_after_seconds is not None:
            details["retryAfterSeconds"] = self.retry_after_seconds
        if details or self.details is not None:
            status["details"] = details
        status["code"] = self.code
        return status


def qualified(plural_or_kind: str, group: str) -> str:
    """deployments.apps, Deployment.apps; core names stay bare."""
    return f"{plural_or_kind}.{group}" if group else plural_or_kind


def _details(name: str, group: str, kind: str) -> dict[str, Any]:
    return {key: value for key, value in (("name", name), ("group", group), ("kind", kind)) if value}


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> StatusError:
    return StatusError(401, "Unauthorized", message)


def forbidden(group: str, plural: str, name: str, message: str) -> StatusError:
    """403 in the form `pods "x" is forbidden: message`."""
    return StatusError(
        403,
        "Forbidden",
        f'{qualified(plural, group)} "{name}" is forbidden: {message}',
        details=_details(name, group, plural),
    )


def not_found(group: str, plural: str, name: str) -> StatusError:
    return StatusError(
        404, "NotFound", f'{qualified(plural, group)} "{name}" not found', details=_details(name, group, plural)
    )


def already_exists(group: str, plural: str, name: str) -> StatusError:
    return StatusError(
        409,
        "AlreadyExists",
        f'{qualified(plural, group)} "{name}" already exists',
        details=_details(name, group, plural),
    )


def conflict(group: str, plural: str, name: str, message: str) -> StatusError:
    return StatusError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {message}',
        details=_details(name, group, plural),
    )


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def expired(message: str) -> StatusError:
    """410: a resourceVersion or continue token from before the last compaction."""
    return StatusError(410, "Expired", message)


def invalid_object(group: str, kind: str, name: str, errors: Iterable[FieldError]) -> StatusError:
    """422 `Deployment.apps "x" is invalid: ...` with one cause per distinct error, a thousand of them at most."""
    unique = list(dict.fromkeys(errors))
    if len(unique) > _CAUSES_LIMIT:
        rest = FieldError("", "FieldValueInvalid", f"and {len(unique) - _CAUSES_LIMIT} more errors")
        unique[_CAUSES_LIMIT:] = [rest]
    texts = [str(error) for error in unique]
    body = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    details = _details(name, group, kind)
    details["causes"] = [{"reason": e.reason, "message": e.detail, "field": e.field} for e in unique]
    return StatusError(422, "Invalid", f'{qualified(kind, group)} "{name}" is invalid: {body}', details=details)


def internal_error(message: str) -> StatusError:
    return StatusError(
        500, "InternalError", f"Internal error occurred: {message}", details={"causes": [{"message": message}]}
    )
