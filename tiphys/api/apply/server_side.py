"""The two entrances of this package, and the order of the steps upstream's field manager takes."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tiphys.api.apply.conflicts import Conflicts
from tiphys.api.apply.fieldset import EMPTY, FieldSet, set_of
from tiphys.api.apply.managed_fields import (
    BEFORE_FIRST_APPLY,
    Managed,
    ManagedFieldsError,
    Manager,
    Owned,
    applier,
    cap_updaters,
    decode_managed,
    encode_managed,
    updater,
)
from tiphys.api.apply.merge import Comparison, compare, gained, merge, remove_items
from tiphys.api.apply.typed import to_field_set, validation_errors, with_named_members
from tiphys.api.schema import Struct
from tiphys.api.status import StatusError, bad_request

Object = dict[str, Any]
Paths = Sequence[Sequence[str]]


class Endpoint(NamedTuple):
    """What a request's address fixes: the schema, the version written, and the fields this address never changes."""

    schema: Struct
    api_version: str
    subresource: str
    ignored: FieldSet


LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ANNOTATION_LIMIT_BYTES = 256 * 1024
# Never owned by anybody: the server writes them.
STRIPPED = set_of(
    ("apiVersion",),
    ("kind",),
    ("metadata",),
    *(
        ("metadata", name)
        for name in (
            "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation",
            "managedFields", "resourceVersion",
        )
    ),
)  # fmt: skip


def update_managed_fields(
    live: Object | None,
    new: Object,
    schema: Struct,
    *,
    manager: str,
    operation: str = "Update",
    api_version: str,
    subresource: str = "",
    now: str,
    reset_fields: Paths | None = None,
) -> Object:
    """`new` with the managedFields that follow from changing `live` (None: a create) into it.

    The request may carry managedFields itself: `[]` and `[{}]` reset the record, a readable list replaces the live
    one, anything else is ignored.  `reset_fields` are paths this endpoint never changes (default: status outside the
    status subresource, spec inside it).  Never raises for what a client sent.
    """
    endpoint = _endpoint(schema, api_version, subresource, reset_fields)
    managed = _starting_point(live, new, subresource)
    after = _without_managed(new)
    if live is None and not managed.owned:
        fields = gained(_known_empty(schema), after, schema).recursive_difference(endpoint.ignored)
        who = Manager(manager or "unknown", operation, "" if operation == "Apply" else api_version, subresource)
        return _with_managed(after, _first_record(who, Owned(fields.difference(STRIPPED), api_version), now))
    before = _without_managed(live) if live is not None else empty_object(schema)
    is_create = not (live or {}).get("metadata", {}).get("uid")
    if managed.owned or is_create:
        who = Manager(manager or "unknown", operation, "" if operation == "Apply" else api_version, subresource)
        managed = _update(before, after, endpoint, managed, who, now)
        cap_updaters(managed)
    return _with_managed(after, managed)


def server_side_apply(
    live: Object | None,
    patch: Object,
    schema: Struct,
    *,
    manager: str,
    api_version: str,
    force: bool,
    now: str,
    subresource: str = "",
    reset_fields: Paths | None = None,
) -> Object:
    """The live object (None: it will be created) with `patch` applied by `manager`.

    Raises StatusError: 409 with a cause per field when others own what would change, 500 (as upstream) when the patch
    does not fit the schema, 400 when it carries managedFields or another apiVersion.  The result keeps nulls where
    fields were taken out; decode it.
    """
    _check_patch(patch, schema, api_version)
    before = _without_managed(live) if live is not None else empty_object(schema)
    try:
        managed = decode_managed((live or {}).get("metadata", {}).get("managedFields"))
    except ManagedFieldsError as error:
        raise StatusError(500, "", f"failed to decode managed fields: {error}") from None
    endpoint = _endpoint(schema, api_version, subresource, reset_fields)
    if not managed.owned and live is not None:
        first = updater(BEFORE_FIRST_APPLY, api_version, subresource)
        managed = _update(empty_object(schema), before, endpoint, managed, first, now)
    who = applier(manager, subresource)
    try:
        result, managed = _apply(before, patch, endpoint, managed, who, force=force)
    except Conflicts as conflicts:
        if manager != "kubectl":
            raise conflicts.to_status() from None
        rest = conflicts.without(_owned_by_last_applied(before, schema, api_version))
        if rest.by_manager:
            raise rest.to_status() from None
        result, managed = _apply(before, patch, endpoint, managed, who, force=True)
    if result is not None:
        managed.times[who] = now
    after = result if result is not None else before
    if manager == "kubectl":
        after = _sync_last_applied(after, patch)
    return _with_managed(after, managed)


def empty_object(schema: Struct) -> Object:
    """What Go holds before a create: always-written structs and zeros, nulls for always-written lists and pointers.

    Ownership needs it: a field that exists here cannot be "added" by a create, so `f:spec` gets no "." while
    `f:labels` does.
    """
    out: Object = {}
    for name, member in schema.fields.items():
        if isinstance(member.type, Struct) and member.zero is not None:
            out[name] = empty_object(member.type)
        elif member.zero is not None:
            out[name] = member.zero
        elif member.null_zero or member.required:
            out[name] = None
    return out


_known_empty = lru_cache(maxsize=512)(empty_object)  # to compare with, never to hand out


def _first_record(who: Manager, owned: Owned, now: str) -> Managed:
    """Of an object nobody has owned before."""
    return Managed({who: owned}, {who: now}) if owned.fields else Managed()


def _check_patch(patch: Object, schema: Struct, api_version: str) -> None:
    metadata = patch.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    version, kind = patch.get("apiVersion", ""), patch.get("kind", "")
    if version != api_version:
        raise bad_request(
            f"Incorrect version specified in apply patch. Specified patch version: {version}, expected: {api_version}"
        )
    if metadata.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    errors = validation_errors(patch, schema)
    if errors:
        text = errors[0] if len(errors) == 1 else "errors:\n" + "\n".join(f"  {error}" for error in errors)
        group_version = version if "/" in str(version) else f"/{version}"
        place = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {group_version}, Kind={kind}"
        raise StatusError(500, "", f"failed to create typed patch object ({place}): {text}")


def _endpoint(schema: Struct, api_version: str, subresource: str, reset_fields: Paths | None) -> Endpoint:
    if reset_fields is None:
        names = {"": ["status"], "status": ["spec"]}.get(subresource, [])
        reset_fields = [(name,) for name in names if "status" in schema.fields and name in schema.fields]
    ignored = _set_of(tuple(map(tuple, reset_fields))) if reset_fields else EMPTY
    return Endpoint(schema, api_version, subresource, ignored)


@lru_cache(maxsize=64)
def _set_of(paths: tuple[tuple[str, ...], ...]) -> FieldSet:
    return set_of(*paths)


def _without_managed(obj: Object) -> Object:
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}


def _with_managed(obj: Object, managed: Managed) -> Object:
    entries = encode_managed(managed)
    if not entries:
        return _without_managed(obj)
    return {**obj, "metadata": {**(obj.get("metadata") or {}), "managedFields": entries}}


def _starting_point(live: Object | None, new: Object, subresource: str) -> Managed:
    recorded = (live or {}).get("metadata", {}).get("managedFields")
    given = (new.get("metadata") or {}).get("managedFields")
    if not subresource:
        if given == [] or given == [{}]:
            return Managed()
        try:
            managed = decode_managed(given)
            if managed.owned:
                return managed
        except ManagedFieldsError:
            pass
    try:
        return decode_managed(recorded)
    except ManagedFieldsError:
        return Managed()


def _update(live: Object, new: Object, endpoint: Endpoint, managed: Managed, who: Manager, now: str) -> Managed:
    difference = compare(live, new, endpoint.schema).without(endpoint.ignored)
    managed = managed.copy()
    _release(managed, difference, None)
    won = difference.modified.union(difference.added).difference(STRIPPED)
    if won:
        previous = managed.owned.get(who)
        fields = won.union(previous.fields) if previous is not None else won
        managed.owned[who] = Owned(fields, endpoint.api_version)
        managed.times[who] = now
    return managed


def _release(managed: Managed, difference: Comparison, keep: Manager | None) -> None:
    """Everybody but `keep` loses the fields that changed or went."""
    lost = difference.modified.union(difference.added).union(difference.removed)
    if not lost:
        return
    for manager, owned in list(managed.owned.items()):
        if manager != keep:
            managed.owned[manager] = owned.with_fields(owned.fields.difference(lost))
    managed.drop_empty()


def _apply(
    live: Object, patch: Object, endpoint: Endpoint, managed: Managed, who: Manager, *, force: bool
) -> tuple[Object | None, Managed]:
    """The new object, or None when nothing changed, and the new record.  Raises Conflicts."""
    schema = endpoint.schema
    managed = managed.copy()
    merged = merge(live, patch, schema)
    last = managed.owned.get(who)
    fields = to_field_set(patch, schema).recursive_difference(endpoint.ignored)
    managed.owned[who] = Owned(fields, endpoint.api_version)
    # An applier that drops nothing (the common case) has nothing to prune: all it owned it still claims.
    new = _prune(merged, schema, managed, last) if last is not None and last.fields.difference(fields) else merged
    difference = compare(live, new, schema).without(endpoint.ignored)
    changed = difference.modified.union(difference.added)
    conflicts = {
        manager: owned.with_fields(common)
        for manager, owned in managed.owned.items()
        if manager != who and (common := owned.fields.intersection(changed))
    }
    if conflicts and not force:
        raise Conflicts(conflicts)
    _release(managed, difference, who)
    managed.owned[who] = Owned(fields.difference(STRIPPED), endpoint.api_version)
    managed.drop_empty()
    return (None if new == live else new), managed


def _prune(merged: Object, schema: Struct, managed: Managed, last: Owned) -> Object:
    """Take out what the applier owned last time, does not mention now, and nobody else owns."""
    last_fields = with_named_members(last.fields, schema)
    pruned = remove_items(merged, last_fields, schema) or {}
    owned_now = EMPTY
    for owned in managed.owned.values():
        owned_now = owned_now.union(owned.fields)
    everything = with_named_members(to_field_set(merged, schema), schema)
    kept = with_named_members(to_field_set(pruned, schema), schema)
    pruned = (
        remove_items(merged, everything.difference(kept.union(with_named_members(owned_now, schema))), schema) or {}
    )
    kept = with_named_members(to_field_set(pruned, schema), schema)
    return remove_items(merged, everything.difference(kept).intersection(last_fields), schema) or {}


def _owned_by_last_applied(live: Object, schema: Struct, api_version: str) -> FieldSet:
    """Fields kubectl's client-side apply set and nobody has changed since: kubectl may take them over unasked."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return EMPTY
    try:
        last = json.loads(text)
    except (ValueError, RecursionError):
        return EMPTY
    if not isinstance(last, dict) or last.get("apiVersion") != api_version or validation_errors(last, schema):
        return EMPTY
    difference = compare(last, live, schema)
    fields = to_field_set(last, schema)
    return fields.difference(difference.modified).difference(difference.added).difference(difference.removed)


def _sync_last_applied(obj: Object, patch: Object) -> Object:
    """An object that still carries kubectl's annotation gets it brought up to date, or removed when too large."""
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    if LAST_APPLIED not in annotations:
        return obj
    config = copy.deepcopy(patch)
    own = (config.get("metadata") or {}).get("annotations")
    if isinstance(own, dict):
        own.pop(LAST_APPLIED, None)
    text = json.dumps(config, separators=(",", ":"), sort_keys=True, ensure_ascii=False) + "\n"
    synced = {**annotations, LAST_APPLIED: text}
    if sum(len(k.encode()) + len(str(v).encode()) for k, v in synced.items()) > ANNOTATION_LIMIT_BYTES:
        del synced[LAST_APPLIED]
    return {**obj, "metadata": {**obj["metadata"], "annotations": synced}}
