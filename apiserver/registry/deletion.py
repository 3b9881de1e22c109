"""What a DELETE does to an object: a pure plan (upstream's BeforeDelete and the finalizer rules around it).

What must stay true: an object with finalizers is never removed, only marked; a grace period can only get shorter.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apiserver.registry.options import DeleteOptions
from apiserver.registry.strategy import Strategy, effective_grace
from tiphys.api.status import StatusError, conflict
from tiphys.api.times import format_time, parse_time

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


@dataclass(frozen=True, slots=True)
class DeletionPlan:
    """`action`: "remove" (from the store, now), "update" (write `obj`), "nothing" (already under way)."""

    action: str
    obj: dict[str, Any]


def check_preconditions(obj: dict[str, Any], options: DeleteOptions, kind: str, group: str) -> None:
    """Raises 409 when uid or resourceVersion is not the one the caller means."""
    metadata = obj["metadata"]
    refusal = ""
    if options.uid is not None and options.uid != metadata.get("uid"):
        refusal = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata.get('uid')}). "
            "The object might have been deleted and then recreated"
        )
    elif options.resource_version is not None and options.resource_version != metadata.get("resourceVersion"):
        refusal = (
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion "
            f"in record ({metadata.get('resourceVersion')}). The object might have been modified"
        )
    if refusal:
        raise _conflict(group, kind, metadata["name"], refusal)


def _conflict(group: str, kind: str, name: str, text: str) -> StatusError:
    return conflict(group, kind, name, text)


def plan_deletion(obj: dict[str, Any], options: DeleteOptions, strategy: Strategy, now: datetime) -> DeletionPlan:
    """`obj` is not changed; a changed copy is in the plan."""
    metadata = obj["metadata"]
    under_way = "deletionTimestamp" in metadata
    graceful, seconds = False, 0
    if strategy.grace is not None and under_way:
        current = metadata.get("deletionGracePeriodSeconds") or 0
        if current > 0:
            asked = effective_grace(options)
            if asked is None or asked >= current:
                return DeletionPlan("nothing", obj)
            graceful, seconds = True, asked
    elif strategy.grace is not None:
        graceful, seconds = True, strategy.grace(obj, effective_grace(options))
    finalizers = _finalizers(metadata.get("finalizers", []), options)
    held = bool(finalizers) or strategy.holds(obj)
    if not held and (not graceful or seconds == 0):
        return DeletionPlan("remove", obj)
    new = copy.deepcopy(obj)
    _set_finalizers(new["metadata"], finalizers)
    _mark(new["metadata"], seconds, graceful, under_way, now)
    if strategy.begin_deletion is not None and not under_way:
        strategy.begin_deletion(new)
    return DeletionPlan("nothing" if new == obj else "update", new)


def _mark(metadata: dict[str, Any], seconds: int, graceful: bool, under_way: bool, now: datetime) -> None:
    if not under_way:
        if metadata.get("generation"):
            metadata["generation"] += 1
        metadata["deletionTimestamp"] = format_time(now + timedelta(seconds=seconds))
        metadata["deletionGracePeriodSeconds"] = seconds
    elif graceful:
        asked_at = parse_time(metadata["deletionTimestamp"]) - timedelta(seconds=metadata["deletionGracePeriodSeconds"])
        metadata["deletionTimestamp"] = format_time(asked_at + timedelta(seconds=seconds))
        metadata["deletionGracePeriodSeconds"] = seconds


def _set_finalizers(metadata: dict[str, Any], finalizers: list[str]) -> None:
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)


def _finalizers(current: list[str], options: DeleteOptions) -> list[str]:
    """The finalizers after the propagation policy has had its say."""
    policy, orphan_flag = options.propagation_policy, options.orphan_dependents
    if orphan_flag is not None:
        orphan, foreground = orphan_flag, False
    elif policy is not None:
        orphan, foreground = policy == "Orphan", policy == "Foreground"
    else:
        orphan, foreground = ORPHAN in current, FOREGROUND in current
    if (ORPHAN in current, FOREGROUND in current) == (orphan, foreground):
        return list(current)
    kept = [one for one in current if one not in (ORPHAN, FOREGROUND)]
    return kept + [ORPHAN] * orphan + [FOREGROUND] * foreground


def is_finished(new: dict[str, Any], old: dict[str, Any], strategy: Strategy) -> bool:
    """Whether an update took away the last thing that kept a deleted object."""
    before = old["metadata"]
    if "deletionTimestamp" not in before or before.get("deletionGracePeriodSeconds"):
        return False  # not under deletion before this write, or its grace period is not over
    return not new["metadata"].get("finalizers") and not strategy.holds(new)
