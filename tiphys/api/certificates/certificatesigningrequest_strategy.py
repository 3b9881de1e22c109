"""A request for a certificate is about who made it: the server says who that is, and it never changes.

The API server puts username, uid, groups and extra of the caller in after `prepare_for_create` took them away.
"""

from typing import Any

JsonObject = dict[str, Any]
IDENTITY = ("username", "uid", "groups", "extra")
_DECISIONS = ("Approved", "Denied")


def prepare_for_create(request: JsonObject) -> None:
    spec = request.setdefault("spec", {})
    for name in IDENTITY:
        spec.pop(name, None)


def prepare_for_update(new: JsonObject, old: JsonObject) -> None:
    new["spec"] = old.get("spec", {})


def prepare_status_update(new: JsonObject, old: JsonObject) -> None:
    """Whether a request is approved is decided in the approval subresource only."""
    status, before = new.setdefault("status", {}), old.get("status") or {}
    decisions = [item for item in before.get("conditions") or [] if item.get("type") in _DECISIONS]
    others = [item for item in status.get("conditions") or [] if item.get("type") not in _DECISIONS]
    if decisions or others:
        status["conditions"] = [*decisions, *others]
    else:
        status.pop("conditions", None)


def prepare_approval_update(new: JsonObject, old: JsonObject, now: str) -> None:
    """The approval subresource changes conditions and metadata, nothing else; new decisions get their times."""
    conditions = (new.get("status") or {}).get("conditions") or []
    known = {item.get("type"): item for item in (old.get("status") or {}).get("conditions") or []}
    for item in conditions:
        before = known.get(item.get("type"), {})
        if not item.get("lastUpdateTime"):
            item["lastUpdateTime"] = now
        if not item.get("lastTransitionTime"):
            same = before.get("status") == item.get("status")
            item["lastTransitionTime"] = (before.get("lastTransitionTime") if same else None) or now
    new["spec"] = old.get("spec", {})
    new["status"] = {**(old.get("status") or {}), "conditions": conditions}
    if not conditions:
        del new["status"]["conditions"]


def _spec(name: str) -> Any:
    return lambda request: str((request.get("spec") or {}).get(name) or "")


selectable_fields = {"spec.signerName": _spec("signerName")}
