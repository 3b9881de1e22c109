"""The difference between two pod statuses as a strategic merge patch for the status subresource.  Pure.

Only what changed is sent, so conditions that others write in between are not overwritten; the uid in the patch makes
the server refuse it for another pod of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_REPLACED = ("podIPs", "hostIPs")  # lists that merge by key on the server, but are ours as a whole


def status_patch(uid: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | None:
    """The patch body, or None when nothing changed."""
    changes: dict[str, Any] = {}
    for key in [*new, *(k for k in old if k not in new)]:
        before, after = old.get(key), new.get(key)
        if bare(before) == bare(after):
            continue
        if after is None:
            changes[key] = None
        elif key == "conditions":
            changes[key] = _conditions(before or [], after)
        elif key in _REPLACED and before:
            changes[key] = [*after, {"$patch": "replace"}]
        else:
            changes[key] = after
    if not changes or changes == {"conditions": []}:
        return None
    return {"metadata": {"uid": uid}, "status": changes}


def bare(value: Any) -> Any:
    """Without absent and empty parts, so that two spellings of the same thing are equal."""
    if isinstance(value, Mapping):
        parts = {key: bare(part) for key, part in value.items()}
        return {key: part for key, part in parts.items() if part is not None} or None
    if isinstance(value, list):
        return [bare(part) for part in value] or None
    return None if value == "" else value


def _conditions(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {c["type"]: c for c in old}
    kept = {condition["type"] for condition in new}
    changed: list[dict[str, Any]] = [{"type": kind, "$patch": "delete"} for kind in known if kind not in kept]
    for condition in new:
        before = known.get(condition["type"], {})
        if bare(before) != bare(condition):
            changed.append({**{key: None for key in before if key not in condition}, **condition})
    return changed
