"""The kinds: what the API server, the clients and the command know about each, and the registry that finds them.

A kind's facts stand in the `@kind` decorator on its model.  Its behaviour stands in modules beside the model's own,
each of them optional and loaded on first use: for tiphys/api/core/pod.py they are pod_strategy.py (what a create or
an update resets), pod_validation.py (what is refused) and pod_table.py (the printed columns).  A custom resource
registers the same `KindInfo` with functions in place of modules.

What must stay true: importing a kind's model imports no behaviour, and hooks are pure functions on plain objects.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar, cast

from tiphys.api.builtin_kinds import BUILTIN_MODULES
from tiphys.api.declaration import Object, struct_of, zero_of
from tiphys.api.hooks import Functions, Hooks, SiblingModules
from tiphys.api.schema import Field, ListOf, Scalar, Struct
from tiphys.api.status import FieldError

JsonObject = dict[str, Any]
O = TypeVar("O", bound=type[Object])  # noqa: E741

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
READ_WRITE = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the printed table.  `priority` 0 is always shown, 1 only with -o wide."""

    name: str
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True)
class SubresourceInfo:
    """`kind` "" means the kind it belongs to; `group` and `version` "" mean the same as its."""

    name: str
    kind: str = ""
    group: str = ""
    version: str = ""
    verbs: tuple[str, ...] = READ_WRITE


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Members from the root, such as ("spec", "replicas"); `selector` () where the object shows none."""

    spec_replicas: tuple[str, ...]
    status_replicas: tuple[str, ...]
    selector: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class KindInfo:
    """One kind in one version.  Compared by identity.  Hooks work on plain dicts in wire form, in place."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: Mapping[str, SubresourceInfo] = field(default_factory=dict)
    model: type[Object] | None = None  # None for custom resources
    generation: bool = False  # metadata.generation counts changes of everything but metadata and status
    hooks: Hooks = field(default_factory=Functions, repr=False)
    given_schema: Struct | None = field(default=None, repr=False)
    given_list_kind: str = ""  # where it is not the kind with "List" behind it
    deprecation: str = ""  # the text of the Warning header every answer of this version carries
    scale_paths: ScalePaths | None = None  # where the scale subresource finds its numbers; None: the usual places

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_kind(self) -> str:
        return self.given_list_kind or self.kind + "List"

    @property
    def storage(self) -> tuple[str, str]:
        """(group, plural) under which objects are kept: another kind's where two kinds show the same objects."""
        return cast("tuple[str, str]", self.hooks.data("storage") or (self.group, self.plural))

    @property
    def shows_another(self) -> bool:
        """The objects are kept as another kind writes them."""
        return self.hooks.data("to_storage") is not None

    def to_storage(self, obj: JsonObject) -> JsonObject:
        """The object as the kind that is kept writes it; `obj` itself where that is this kind, and it never changes."""
        own = self.hooks.find("to_storage")
        return cast(JsonObject, own(obj)) if own else obj

    def from_storage(self, obj: JsonObject) -> JsonObject:
        """The inverse: a kept object as this kind shows it."""
        own = self.hooks.find("from_storage")
        return cast(JsonObject, own(obj)) if own else obj

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    @cached_property
    def schema(self) -> Struct:
        if self.given_schema is not None:
            return self.given_schema
        assert self.model is not None
        return struct_of(self.model)

    @cached_property
    def list_schema(self) -> Struct:
        """The struct of PodList and the like: the model of that name beside the kind's model."""
        if self.model is not None:
            return struct_of(getattr(sys.modules[self.model.__module__], self.list_kind))
        from tiphys.api.meta import ListMeta

        items = ListOf(self.schema, list_type="")
        fields = (
            Field("apiVersion", Scalar("string")),
            Field("kind", Scalar("string")),
            Field("metadata", struct_of(ListMeta), zero={}),
            Field("items", items, required=True),
        )
        name = f"{self.schema.name}List"
        return Struct(name, lambda: {field.name: field for field in fields})

    @property
    def columns(self) -> tuple[Column, ...]:
        """The printed columns; a kind without its own has Name and Age."""
        return cast("tuple[Column, ...]", self.hooks.data("columns") or DEFAULT_COLUMNS)

    def cells(self, obj: JsonObject, now: datetime) -> list[Any]:
        """One cell per column."""
        own = self.hooks.find("cells")
        return cast("list[Any]", (own or default_cells)(obj, now))

    def row_conditions(self, obj: JsonObject) -> list[JsonObject]:
        """Conditions of the table row, such as Completed for a pod that has ended."""
        return self._run("row_conditions", obj) or []

    @property
    def selectable_fields(self) -> Mapping[str, Callable[[JsonObject], str]]:
        """What field selectors may name besides metadata.name and metadata.namespace."""
        return cast("Mapping[str, Callable[[JsonObject], str]]", self.hooks.data("selectable_fields") or {})

    def prepare_for_create(self, obj: JsonObject) -> None:
        """Clears what a creator may not set and sets what every new object has; before validation."""
        if self.has_status and not self.hooks.data("keeps_status_on_create"):
            reset_status(obj, self.schema)
        if self.generation:
            obj.setdefault("metadata", {})["generation"] = 1
        self._run("prepare_for_create", obj)

    def prepare_for_update(self, new: JsonObject, old: JsonObject) -> None:
        """A write to the main resource: status stays as it was, generation counts a change of the rest."""
        if self.has_status:
            _take(new, old, "status")
        self._run("prepare_for_update", new, old)
        if self.generation:
            before = old.get("metadata", {}).get("generation", 0)
            new.setdefault("metadata", {})["generation"] = before + int(self._is_new_generation(new, old))

    def _is_new_generation(self, new: JsonObject, old: JsonObject) -> bool:
        if self.hooks.data("generation_counts_annotations"):
            before, after = (obj.get("metadata", {}).get("annotations") or {} for obj in (old, new))
            if before != after:
                return True
        return _differs(new, old)

    def prepare_status_update(self, new: JsonObject, old: JsonObject) -> None:
        """A write to the status subresource: everything but metadata and status stays as it was."""
        for name in {*new, *old} - {"metadata", "status", "apiVersion", "kind"}:
            _take(new, old, name)
        for name in ("generation", "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences"):
            _take(new.setdefault("metadata", {}), old.get("metadata", {}), name)
        self._run("prepare_status_update", new, old)

    def validate(self, obj: JsonObject) -> list[FieldError]:
        return self._run("validate", obj) or []

    def validate_update(self, new: JsonObject, old: JsonObject) -> list[FieldError]:
        return self._run("validate_update", new, old) or []

    def validate_status_update(self, new: JsonObject, old: JsonObject) -> list[FieldError]:
        return self._run("validate_status_update", new, old) or []

    def warnings(self, obj: JsonObject) -> list[str]:
        """Texts for `Warning` headers of a create or update."""
        return self._run("warnings", obj) or []

    @property
    def graceful(self) -> bool:
        """Whether a deletion may leave the object for a while until its owner has cleaned up."""
        return self.hooks.find("grace_period_seconds") is not None

    def grace_period_seconds(self, obj: JsonObject, asked: int | None) -> int:
        """The seconds a deletion waits; 0 deletes at once.  `asked` is DeleteOptions.gracePeriodSeconds."""
        own = self.hooks.find("grace_period_seconds")
        return int(own(obj, asked)) if own else 0

    def _run(self, name: str, *arguments: Any) -> Any:
        own = self.hooks.find(name)
        return own(*arguments) if own else None


def reset_status(obj: JsonObject, schema: Struct) -> None:
    """The status of a new object: what Go writes for an empty one."""
    obj.pop("status", None)
    status = schema.fields.get("status")
    if status is not None and isinstance(status.type, Struct) and status.zero is not None:
        obj["status"] = zero_of(status.type)


def _take(new: JsonObject, old: JsonObject, name: str) -> None:
    if name in old:
        new[name] = old[name]
    else:
        new.pop(name, None)


def _differs(new: JsonObject, old: JsonObject) -> bool:
    names = {*new, *old} - {"metadata", "status", "apiVersion", "kind"}
    return any(new.get(name) != old.get(name) for name in names)


DEFAULT_COLUMNS = (Column("Name", format="name"), Column("Age"))


def default_cells(obj: JsonObject, now: datetime) -> list[Any]:
    from tiphys.api.table import age

    metadata = obj.get("metadata", {})
    return [metadata.get("name", ""), age(metadata.get("creationTimestamp"), now)]


# --- declaring --------------------------------------------------------------------------------------------------------

_by_model: dict[type[Object], KindInfo] = {}


def kind(
    *,
    plural: str,
    singular: str = "",
    short_names: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    namespaced: bool = True,
    verbs: tuple[str, ...] = ALL_VERBS,
    subresources: tuple[SubresourceInfo, ...] = (),
    generation: bool = False,
) -> Callable[[O], O]:
    """Declares a model as a kind.  Group and version are the default of its `apiVersion`."""

    def declare(model: O) -> O:
        declared: dict[str, Any] = model.__pydantic_fields__
        group, _, version = str(declared["apiVersion"].default).rpartition("/")
        name = model.__name__
        full = {
            sub.name: SubresourceInfo(
                sub.name,
                sub.kind or name,
                sub.group if sub.kind else group,
                sub.version or (version if not sub.group else "v1"),
                sub.verbs,
            )
            for sub in subresources
        }
        _by_model[model] = KindInfo(
            group=group,
            version=version,
            kind=name,
            plural=plural,
            singular=singular or name.lower(),
            short_names=short_names,
            categories=categories,
            namespaced=namespaced,
            verbs=verbs,
            subresources=full,
            model=model,
            generation=generation,
            hooks=SiblingModules(model.__module__, name),
        )
        return model

    return declare


def info_of(model: type[Object] | Object) -> KindInfo:
    """The kind of a model or of an object; KeyError where it is not a kind."""
    return _by_model[model if isinstance(model, type) else type(model)]


# --- finding ----------------------------------------------------------------------------------------------------------


class Registry:
    """The kinds a server serves or a client knows; custom resources come and go."""

    def __init__(self) -> None:
        self._by_plural: dict[tuple[str, str, str], KindInfo] = {}
        self._by_kind: dict[tuple[str, str, str], KindInfo] = {}

    def register(self, info: KindInfo) -> None:
        self._by_plural[info.group, info.version, info.plural] = info
        self._by_kind[info.group, info.version, info.kind] = info

    def unregister(self, info: KindInfo) -> None:
        self._by_plural.pop((info.group, info.version, info.plural), None)
        self._by_kind.pop((info.group, info.version, info.kind), None)

    def get(self, group: str, version: str, plural: str) -> KindInfo | None:
        return self._by_plural.get((group, version, plural))

    def by_kind(self, group: str, version: str, kind: str) -> KindInfo | None:
        return self._by_kind.get((group, version, kind))

    def by_api_version(self, api_version: str, kind: str) -> KindInfo | None:
        """`api_version` as objects carry it: v1, apps/v1."""
        group, _, version = api_version.rpartition("/")
        return self._by_kind.get((group, version, kind))

    def all(self) -> Iterator[KindInfo]:
        return iter(list(self._by_plural.values()))

    def groups(self) -> dict[str, list[str]]:
        """Group to versions, both in the order of registration; "" is the core group."""
        groups: dict[str, list[str]] = {}
        for group, version, _ in self._by_plural:
            versions = groups.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        return groups


def builtin_registry() -> Registry:
    """A new registry of all built-in kinds; imports them."""
    registry = Registry()
    for module in BUILTIN_MODULES:
        importlib.import_module(module)
    order = {module: index for index, module in enumerate(BUILTIN_MODULES)}
    declared = [info for info in _by_model.values() if info.model and info.model.__module__ in order]
    for info in sorted(declared, key=lambda info: order[info.model.__module__ if info.model else ""]):
        registry.register(info)
    return registry
