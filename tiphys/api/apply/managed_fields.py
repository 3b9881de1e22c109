"""metadata.managedFields: reading, writing, sorting and capping the record of who set what.

A manager is known by name, operation and subresource, and an updater also by the apiVersion it wrote.  The time is not
part of its identity; it moves only when an operation changed something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tiphys.api.apply.fieldset import FieldSet, read_fields_v1
from tiphys.api.times import TimeError, parse_time

UPDATE_MANAGER_LIMIT = 10
ANCIENT = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"


class ManagedFieldsError(ValueError):
    """Entries that cannot be read; the text is upstream's."""


class Manager(NamedTuple):
    """`api_version` is "" for appliers: they keep one entry whatever version they apply."""

    name: str
    operation: str  # "Apply" or "Update"
    api_version: str
    subresource: str


def applier(name: str, subresource: str) -> Manager:
    return Manager(name or "unknown", "Apply", "", subresource)


def updater(name: str, api_version: str, subresource: str) -> Manager:
    return Manager(name or "unknown", "Update", api_version, subresource)


class Owned(NamedTuple):
    fields: FieldSet
    api_version: str

    def with_fields(self, fields: FieldSet) -> Owned:
        return Owned(fields, self.api_version)


@dataclass(slots=True)
class Managed:
    """The decoded list.  `times` holds wire times; a manager without one has never changed a value."""

    owned: dict[Manager, Owned] = field(default_factory=dict)
    times: dict[Manager, str] = field(default_factory=dict)

    def copy(self) -> Managed:
        return Managed(dict(self.owned), dict(self.times))

    def drop_empty(self) -> None:
        for manager in [manager for manager, owned in self.owned.items() if not owned.fields]:
            del self.owned[manager]


_TEXTS = ("manager", "operation", "apiVersion", "fieldsType", "subresource", "time")


def decode_managed(entries: Any) -> Managed:
    """Raises ManagedFieldsError."""
    managed = Managed()
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(entry, Mapping):
            raise ManagedFieldsError(f"managed fields entry {index} is not an object")
        if any(not isinstance(entry.get(name, ""), str) for name in _TEXTS):
            raise ManagedFieldsError(f"managed fields entry {index} has a member that is not a string")
        operation, api_version = entry.get("operation", ""), entry.get("apiVersion", "")
        if operation not in ("Apply", "Update"):
            raise ManagedFieldsError("operation must be `Apply` or `Update`")
        if not api_version:
            raise ManagedFieldsError("apiVersion must not be empty")
        fields_type = entry.get("fieldsType", "")
        if fields_type != "FieldsV1":
            raise ManagedFieldsError(
                f'invalid fieldsType "{fields_type}" in managed fields entry {index}'
                if fields_type
                else f"missing fieldsType in managed fields entry {index}"
            )
        name, subresource = entry.get("manager", ""), entry.get("subresource", "")
        manager = Manager(name, operation, "" if operation == "Apply" else api_version, subresource)
        try:
            managed.owned[manager] = Owned(read_fields_v1(entry.get("fieldsV1")), api_version)
        except ValueError as error:
            raise ManagedFieldsError(f"error decoding set: {error}") from None
        if entry.get("time"):
            managed.times[manager] = entry["time"]
    return managed


def encode_managed(managed: Managed) -> list[dict[str, Any]]:
    """Wire entries in upstream's order: appliers first, then by time, name, version and subresource."""
    entries = []
    for manager, owned in managed.owned.items():
        entry: dict[str, Any] = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": owned.api_version,
        }
        if manager in managed.times:
            entry["time"] = managed.times[manager]
        entry["fieldsType"] = "FieldsV1"
        entry["fieldsV1"] = owned.fields.to_fields_v1()
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    if len(entries) > 1:
        entries.sort(
            key=lambda entry: (
                entry["operation"],
                seconds(entry.get("time")),
                entry["manager"],
                entry["apiVersion"],
                entry.get("subresource", ""),
            )
        )
    return entries


def seconds(time: str | None) -> float:
    """Unix seconds of a wire time; 0 for none."""
    if not time:
        return 0
    try:
        return parse_time(time).timestamp()
    except TimeError:
        return 0


def cap_updaters(managed: Managed) -> None:
    """Merge the oldest updaters of one version into an "ancient-changes" entry until at most ten are left."""
    updaters = [manager for manager in managed.owned if manager.operation == "Update"]
    surplus = len(updaters) - UPDATE_MANAGER_LIMIT
    if surplus <= 0:
        return
    updaters.sort(key=lambda manager: (seconds(managed.times.get(manager)), manager))
    first_of: dict[str, Manager] = {}
    for manager in updaters:
        if surplus <= 0:
            return
        owned = managed.owned[manager]
        first = first_of.setdefault(owned.api_version, manager)
        if first is manager:
            continue
        bucket = Manager(ANCIENT, "Update", owned.api_version, "")
        if bucket not in managed.owned:
            managed.owned[bucket] = managed.owned.pop(first)
        # The later time is the truer one for the merged entry.
        managed.owned[bucket] = Owned(owned.fields.union(managed.owned[bucket].fields), owned.api_version)
        if manager is not bucket and manager in managed.owned and manager != bucket:
            del managed.owned[manager]
        if manager in managed.times:
            managed.times[bucket] = managed.times[manager]
        surplus -= 1


def manager_name(field_manager: str, user_agent: str) -> str:
    """The manager of a request that may not name one: the first word of its user agent, printable, 128 bytes."""
    if field_manager:
        return field_manager
    word = "".join(char for char in user_agent.split("/")[0] if char.isprintable())
    return word.encode()[:128].decode(errors="ignore")


def keep_timestamps_when_unchanged(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """`new` with `old`'s managedFields when the two differ in nothing but the times of managedFields: a no-op write
    must not become a revision.  resourceVersion is not compared; everything else is."""
    new_meta, old_meta = new.get("metadata", {}), old.get("metadata", {})
    new_fields, old_fields = new_meta.get("managedFields") or [], old_meta.get("managedFields") or []
    if new_fields == old_fields or len(new_fields) != len(old_fields):
        return new
    if sorted(map(_timeless, new_fields)) != sorted(map(_timeless, old_fields)):
        return new
    ignored = ("managedFields", "resourceVersion")
    if {k: v for k, v in new_meta.items() if k not in ignored} != {
        k: v for k, v in old_meta.items() if k not in ignored
    }:
        return new
    if {k: v for k, v in new.items() if k != "metadata"} != {k: v for k, v in old.items() if k != "metadata"}:
        return new
    return {**new, "metadata": {**new_meta, "managedFields": old_fields}}


def _timeless(entry: Mapping[str, Any]) -> str:
    return repr(sorted((k, repr(v)) for k, v in entry.items() if k != "time"))
