"""A CustomResourceDefinition as kinds: one `KindInfo` per served version, with the behaviour upstream's handler has.

What must stay true: what comes out is a kind like any other; only functions differ, not the path of a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tiphys.api.customresource.columns import table_of
from tiphys.api.customresource.jsonpath import at_path, simple_path
from tiphys.api.customresource.nodes import published, root_struct
from tiphys.api.customresource.reading import drop_nulls, fill_defaults, prune
from tiphys.api.customresource.strategy import Behaviour
from tiphys.api.customresource.structural import Structural
from tiphys.api.declaration import struct_of
from tiphys.api.decode import decode
from tiphys.api.discovery import version_priority
from tiphys.api.hooks import Functions
from tiphys.api.kinds import KindInfo, ScalePaths, SubresourceInfo
from tiphys.api.meta import ObjectMeta
from tiphys.api.schema import Field, Scalar, Struct
from tiphys.api.status import StatusError

JsonObject = dict[str, Any]

VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
TERMINATING_VERBS = tuple(verb for verb in VERBS if verb != "create")  # finalizers must still be taken away


@dataclass(frozen=True, slots=True)
class CustomVersion:
    """One version of a custom resource: its kind, and how an object is brought into this version."""

    name: str
    info: KindInfo
    served: bool
    is_storage: bool
    schema: Structural

    def complete(self, obj: JsonObject) -> None:
        """What reading an object of this version out of the store does to it: prune and fill in defaults, in place."""
        prune(obj, self.schema)
        drop_nulls(obj, self.schema)
        fill_defaults(obj, self.schema)


def versions_of(definition: Mapping[str, Any], *, terminating: bool = False) -> list[CustomVersion]:
    """Every version, the most stable first; the definition has passed validation."""
    spec = definition["spec"]
    versions = sorted(spec["versions"], key=lambda version: version_priority(version["name"]))
    return [_version(definition, version, terminating=terminating) for version in versions]


def _version(definition: Mapping[str, Any], version: Mapping[str, Any], *, terminating: bool) -> CustomVersion:
    spec = definition["spec"]
    names = definition.get("status", {}).get("acceptedNames") or spec["names"]
    group, kind = spec["group"], names.get("kind") or spec["names"]["kind"]
    text = (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
    node = Structural.of(text)
    subresources = version.get("subresources") or {}
    behaviour = Behaviour(group, version["name"], kind, node, has_status="status" in subresources)
    columns, cells = table_of(version.get("additionalPrinterColumns") or ())
    info = KindInfo(
        group=group,
        version=version["name"],
        kind=kind,
        plural=spec["names"]["plural"],
        singular=names.get("singular", "") or kind.lower(),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        namespaced=spec["scope"] == "Namespaced",
        verbs=TERMINATING_VERBS if terminating else VERBS,
        subresources=_subresources(subresources, group, version["name"], kind),
        hooks=Functions(
            columns=columns,
            cells=cells,
            selectable_fields=_selectable(version.get("selectableFields") or ()),
            prepare_for_create=behaviour.prepare_for_create,
            prepare_for_update=behaviour.prepare_for_update,
            prepare_status_update=behaviour.prepare_status_update,
            validate=behaviour.validate,
            validate_update=behaviour.validate_update,
            validate_status_update=behaviour.validate_status_update,
        ),
        given_schema=root_struct(
            definition_name(group, version["name"], kind),
            node,
            _reader(node, kind, version["name"]),
            _filler(node),
            published(node),
        ),
        given_list_kind=names.get("listKind", ""),
        deprecation=_deprecation(definition, version, kind),
        scale_paths=_scale_paths(subresources.get("scale")),
    )
    return CustomVersion(version["name"], info, bool(version.get("served")), bool(version.get("storage")), node)


def definition_name(group: str, version: str, kind: str) -> str:
    """com.example.stable.v1.CronTab"""
    return ".".join([*reversed(group.split(".")), version, kind])


def _reader(node: Structural, kind: str, version: str) -> Callable[[JsonObject], tuple[JsonObject, list[str]]]:
    """Reads a body: metadata as strictly as any object's, the rest pruned."""

    embeds = has_embedded(node)

    def read(obj: JsonObject) -> tuple[JsonObject, list[str]]:
        value, unknown = decode(obj, _ENVELOPE, kind_label=kind, version=version)
        if embeds:
            unknown += read_embedded_metadata(value, node)
        dropped = prune(value, node)
        drop_nulls(value, node)
        return value, unknown + [f'unknown field "{path}"' for path in dropped]

    return read


def has_embedded(node: Structural) -> bool:
    """Whether objects that are resources of their own may stand inside."""
    below = [*node.properties.values(), *(one for one in (node.items, node.additional) if one is not None)]
    return node.embedded or any(has_embedded(one) for one in below)


def read_embedded_metadata(value: Any, node: Structural, path: str = "") -> list[str]:
    """The metadata of objects inside the object, read in place as strictly as its own; texts on unknown fields.

    Metadata of a wrong type is left as it is: validation names it.
    """
    unknown: list[str] = []
    if isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            unknown += read_embedded_metadata(item, node.items, f"{path}[{index}]")
    if not isinstance(value, dict):
        return unknown
    if path and node.embedded and "metadata" in value:
        try:
            found, fields = decode({"metadata": value["metadata"]}, _ENVELOPE)
        except StatusError:
            fields = []
        else:
            value["metadata"] = found.get("metadata")
        unknown += [field.replace('"', f'"{path}.', 1) for field in fields]
    for name, item in value.items():
        below = node.member(name)
        if below is not None:
            unknown += read_embedded_metadata(item, below, f"{path}.{name}" if path else name)
    return unknown


def _filler(node: Structural) -> Callable[[JsonObject], None]:
    return lambda obj: fill_defaults(obj, node)


def _envelope() -> Mapping[str, Field]:
    return {
        "apiVersion": Field("apiVersion", Scalar("string")),
        "kind": Field("kind", Scalar("string")),
        "metadata": Field("metadata", struct_of(ObjectMeta)),
    }


_ENVELOPE = Struct("", _envelope, preserve_unknown=True)


def _subresources(declared: Mapping[str, Any], group: str, version: str, kind: str) -> dict[str, SubresourceInfo]:
    found = {}
    if "status" in declared:
        found["status"] = SubresourceInfo("status", kind, group, version)
    if "scale" in declared:
        found["scale"] = SubresourceInfo("scale", "Scale", "autoscaling", "v1")
    return found


def _scale_paths(scale: Mapping[str, Any] | None) -> ScalePaths | None:
    if scale is None:
        return None
    selector = scale.get("labelSelectorPath") or ""
    return ScalePaths(
        simple_path(scale.get("specReplicasPath", "")), simple_path(scale.get("statusReplicasPath", "")),
        simple_path(selector),
    )  # fmt: skip


def _selectable(declared: Iterable[Mapping[str, Any]]) -> dict[str, Callable[[JsonObject], str]]:
    """jsonPath ".spec.colour" is selected as spec.colour."""
    return {one["jsonPath"].removeprefix("."): _selector(simple_path(one["jsonPath"])) for one in declared}


def _selector(names: tuple[str, ...]) -> Callable[[JsonObject], str]:
    def read(obj: JsonObject) -> str:
        found = at_path(obj, names)
        if isinstance(found, bool):
            return "true" if found else "false"
        return "" if found is None or isinstance(found, dict | list) else str(found)

    return read


def _deprecation(definition: Mapping[str, Any], version: Mapping[str, Any], kind: str) -> str:
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning"):
        return str(version["deprecationWarning"])
    group = definition["spec"]["group"]
    text = f"{group}/{version['name']} {kind} is deprecated"
    better = [one["name"] for one in definition["spec"]["versions"] if one.get("served") and not one.get("deprecated")]
    better = sorted((name for name in better if _is_newer(name, version["name"])), key=version_priority)
    return f"{text}; use {group}/{better[0]} {kind}" if better else text


def _is_newer(name: str, than: str) -> bool:
    return version_priority(name) < version_priority(than)
