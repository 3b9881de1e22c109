"""The declaration agrees with the recorded table of upstream's fields, fact by fact."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tiphys.api import meta, meta_discovery
from tiphys.api.authentication.tokenrequest import TokenRequest
from tiphys.api.autoscaling.horizontalpodautoscaler import HorizontalPodAutoscaler, HorizontalPodAutoscalerList
from tiphys.api.autoscaling.scale import Scale
from tiphys.api.declaration import struct_of
from tiphys.api.events.event import Event, EventList
from tiphys.api.kinds import builtin_registry
from tiphys.api.policy.eviction import Eviction
from tiphys.api.schema import Anything, Field, ListOf, MapOf, Scalar, Struct, Type

TABLE = Path(__file__).parent.parent / "data" / "fields.tsv"
FACTS = [
    "type",
    "format",
    "default",
    "enum",
    "required",
    "listType",
    "mapKeys",
    "patchStrategy",
    "patchMergeKey",
    "protoTag",
    "protoType",
]
MACHINERY = "io.k8s.apimachinery.pkg."
NAMED_SCALARS = {
    "quantity": MACHINERY + "api.resource.Quantity",
    "int-or-string": MACHINERY + "util.intstr.IntOrString",
    "date-time": MACHINERY + "apis.meta.v1.Time",
    "micro-time": MACHINERY + "apis.meta.v1.MicroTime",
}


def recorded() -> dict[str, dict[str, dict[str, str]]]:
    table: dict[str, dict[str, dict[str, str]]] = {}
    with TABLE.open() as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            table.setdefault(row["schema"], {})[row["field"]] = row
    return table


def reachable() -> Iterator[Struct]:
    roots = [info.schema for info in builtin_registry().all()]
    roots += [info.list_schema for info in builtin_registry().all() if "list" in info.verbs]
    roots += [struct_of(model) for model in (Scale, Eviction, TokenRequest)]
    roots += [struct_of(model) for model in (HorizontalPodAutoscaler, HorizontalPodAutoscalerList, Event, EventList)]
    roots += [
        struct_of(getattr(module, name))
        for module in (meta, meta_discovery)
        for name in dir(module)
        if getattr(getattr(module, name), "__module__", "") == module.__name__
        and hasattr(getattr(module, name), "definition")
    ]
    seen: set[int] = set()
    while roots:
        struct = roots.pop()
        if id(struct) in seen:
            continue
        seen.add(id(struct))
        yield struct
        for field in struct.fields.values():
            roots += inner_structs(field.type)


def inner_structs(node: Type) -> list[Struct]:
    if isinstance(node, ListOf):
        return inner_structs(node.items)
    if isinstance(node, MapOf):
        return inner_structs(node.values)
    return [node] if isinstance(node, Struct) else []


def type_text(node: Type) -> str:
    if isinstance(node, ListOf):
        return "[]" + type_text(node.items)
    if isinstance(node, MapOf):
        return "map[string]" + type_text(node.values)
    if isinstance(node, Struct):
        return node.name
    if isinstance(node, Anything):
        return node.name or "any"
    return NAMED_SCALARS.get(node.format, node.type)


def facts_of(field: Field) -> dict[str, str]:
    node = field.type
    facts = dict.fromkeys(FACTS, "")
    facts["type"] = type_text(node)
    if isinstance(node, Scalar) and node.format not in NAMED_SCALARS:
        facts["format"] = node.format
    facts["default"] = "" if field.default is None else json.dumps(field.default)
    facts["enum"] = "|".join(field.enum)
    facts["required"] = "required" if field.required else ""
    if isinstance(node, ListOf):
        facts["listType"] = node.list_type
        facts["mapKeys"] = ",".join(node.map_keys)
        facts["patchStrategy"] = node.patch_strategy
        facts["patchMergeKey"] = node.patch_merge_key
    elif isinstance(node, MapOf):
        facts["listType"] = "atomic" if node.atomic else ""
    elif isinstance(node, Struct):
        facts["patchStrategy"] = node.union
    facts["protoTag"] = str(field.tag or "")
    facts["protoType"] = field.proto
    return facts


def normal(row: dict[str, str], fact: str) -> str:
    value = row[fact]
    if fact == "format" and row["type"] == "integer" and not value:
        return "int64"
    if fact == "listType" and row["format"] == "byte":
        return ""  # bytes are a list to Go only
    return "" if value == "granular" else value  # granular is what a map is when nothing is said


def test_the_declaration_agrees_with_the_recorded_fields(capsys: Any) -> None:
    table = recorded()
    total = agreed = 0
    differences: list[str] = []
    for struct in reachable():
        rows = table.get(struct.name)
        assert rows is not None, f"{struct.name} is not in {TABLE.name}"
        rows = {name: row for name, row in rows.items() if name != "-"}
        for name in sorted(rows.keys() ^ struct.fields.keys()):
            total += 1
            differences.append(f"{struct.go_name}.{name}: {'missing' if name in rows else 'invented'}")
        for name in rows.keys() & struct.fields.keys():
            ours = facts_of(struct.fields[name])
            for fact in FACTS:
                total += 1
                if ours[fact] == normal(rows[name], fact):
                    agreed += 1
                else:
                    differences.append(f"{struct.go_name}.{name} {fact}: {ours[fact]!r}, upstream {rows[name][fact]!r}")
    with capsys.disabled():
        print(f"\nfields: {agreed} of {total} facts agree ({100 * agreed / total:.2f} %)")
    assert not differences, "\n".join(sorted(differences))


def test_the_pod_tree_is_in_the_comparison() -> None:
    names = {struct.go_name for struct in reachable()}
    assert {"Pod", "Container", "VolumeProjection", "WeightedPodAffinityTerm", "DeploymentStrategy", "Lease"} <= names
    assert len(names) > 180


def test_types_that_share_a_definition_share_a_node() -> None:
    registry = builtin_registry()
    pods, deployments = registry.get("", "v1", "pods"), registry.get("apps", "v1", "deployments")
    assert pods is not None and deployments is not None
    template = deployments.schema.fields["spec"].type.fields["template"].type  # type: ignore[union-attr]
    assert template.fields["spec"].type is pods.schema.fields["spec"].type  # type: ignore[union-attr]
