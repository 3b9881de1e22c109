"""resourceVersion and resourceVersionMatch: how fresh an answer must be, and what happens when it cannot be.

The table is upstream's: none = newest; "0" = whatever is here; N = not older than N, or exactly N.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from apiserver.registry.codec import parse_version
from apiserver.requestinfo import Query, first
from apiserver.storage.store import Compacted, FutureRevision
from tiphys.api.kinds import KindInfo
from tiphys.api.status import FieldError, StatusError, expired, forbidden_field, invalid, invalid_object, not_supported

_EXACT, _NOT_OLDER = "Exact", "NotOlderThan"
CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Freshness:
    """`revision` as the watch cache means it: None newest, 0 anything, N at least (or, `exact`, exactly) N."""

    revision: int | None
    exact: bool = False


def read_revision(text: str) -> int | None:
    """Raises 400 on a version that is none of ours."""
    if not text:
        return None
    revision = parse_version(text)
    if revision is None:
        raise StatusError(
            400, "BadRequest", f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return revision


def list_freshness(query: Query) -> Freshness:
    """Raises 422 on a combination that has no meaning."""
    version, match = first(query, "resourceVersion"), first(query, "resourceVersionMatch")
    continues = bool(first(query, "continue"))
    errors: list[FieldError] = []
    if match:
        if match not in (_EXACT, _NOT_OLDER):
            errors.append(not_supported("resourceVersionMatch", match, (_EXACT, _NOT_OLDER, "")))
        if continues:
            errors.append(
                forbidden_field("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
            )
        elif not version:
            text = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            errors.append(forbidden_field("resourceVersionMatch", text))
        elif match == _EXACT and version == "0":
            text = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            errors.append(forbidden_field("resourceVersionMatch", text))
    if query.get("sendInitialEvents"):
        errors.append(forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if errors:
        raise invalid_object("meta.k8s.io", "ListOptions", "", errors)
    revision = read_revision(version)
    limited = bool(first(query, "limit")) and first(query, "limit") != "0"
    exact = match == _EXACT or (not match and limited and bool(revision))
    return Freshness(revision, exact)


def check_watch(query: Query) -> None:
    """Raises 422 on watch options that do not go together."""
    match, initial = first(query, "resourceVersionMatch"), query.get("sendInitialEvents")
    errors = []
    if initial and not match:
        text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        errors.append(forbidden_field("resourceVersionMatch", text))
    elif match and not initial:
        errors.append(
            forbidden_field(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )
        )
    elif match and match != _NOT_OLDER:
        errors.append(not_supported("resourceVersionMatch", match, (_NOT_OLDER,)))
    if first(query, "continue"):
        errors.append(invalid("continue", first(query, "continue"), "continue is not supported for watch"))
    if errors:
        raise invalid_object("meta.k8s.io", "ListOptions", "", errors)


def too_large(revision: int, current: int) -> StatusError:
    """504 for a version that has not happened yet."""
    return StatusError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {revision}, current: {current}",
        details={
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
        retry_after_seconds=1,
    )


def too_old(revision: int, oldest: int) -> StatusError:
    return expired(f"too old resource version: {revision} ({oldest})")


@contextlib.contextmanager
def translate(info: KindInfo, *, continues: bool = False) -> Iterator[None]:
    """The store's refusals in the API's words: 410 and 504."""
    try:
        yield
    except Compacted as error:
        raise expired(CONTINUE_EXPIRED) if continues else too_old(error.revision, error.compacted) from None
    except FutureRevision as error:
        raise too_large(error.revision, error.current) from None
