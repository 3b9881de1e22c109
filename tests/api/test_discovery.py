"""Discovery documents list what upstream lists, in both forms."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from apiserver.aggregator.apiservices import in_order
from tiphys.api import discovery
from tiphys.api.hooks import Functions
from tiphys.api.kinds import KindInfo, builtin_registry
from tiphys.api.schema import Struct

REGISTRY = builtin_registry()
ORDER = in_order(REGISTRY.groups(), [])


def recorded() -> dict[tuple[str, str, str], dict[str, str]]:
    with (Path(__file__).parent.parent / "data" / "discovery.tsv").open() as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        return {(row["group"], row["version"], row["resource"]): row for row in rows}


def words(text: str | None) -> list[str]:
    return text.split(",") if text else []


def test_every_kind_has_the_recorded_names_verbs_and_subresources() -> None:
    table = recorded()
    for info in REGISTRY.all():
        row = table[info.group, info.version, info.plural]
        assert info.kind == row["kind"]
        assert info.singular == row["singular"]
        assert info.namespaced == (row["scope"] == "Namespaced")
        assert sorted(info.verbs) == sorted(words(row["verbs"]))
        assert list(info.short_names) == words(row["shortNames"])
        assert list(info.categories) == words(row["categories"])
        subresources = re.findall(r"(\w+)\(([\w,]+)\)=(\w+)", row["subresources"] or "")
        ours = {sub.name: (tuple(sorted(sub.verbs)), sub.kind) for sub in info.subresources.values()}
        assert ours == {name: (tuple(sorted(words(verbs))), kind) for name, verbs, kind in subresources}, info.plural


def aggregated(group: str) -> dict[str, Any]:
    document = discovery.aggregated_groups(REGISTRY, ORDER)
    found: dict[str, Any] = next(item for item in document["items"] if item["metadata"]["name"] == group)
    return found


def test_the_aggregated_document_describes_a_resource_and_its_subresources() -> None:
    resources = aggregated("apps")["versions"][0]["resources"]
    deployments = next(item for item in resources if item["resource"] == "deployments")
    assert deployments["responseKind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert (deployments["scope"], deployments["singularResource"]) == ("Namespaced", "deployment")
    assert deployments["shortNames"] == ["deploy"] and deployments["categories"] == ["all"]
    scale = next(item for item in deployments["subresources"] if item["subresource"] == "scale")
    assert scale["responseKind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}


def test_the_core_group_is_nameless_and_in_a_document_of_its_own() -> None:
    document = discovery.aggregated_core(REGISTRY)
    assert [item["metadata"] for item in document["items"]] == [{}]
    names = [item["resource"] for item in document["items"][0]["versions"][0]["resources"]]
    assert "pods" in names and "deployments" not in names and names == sorted(names)


def test_the_legacy_documents_agree_with_the_aggregated_ones() -> None:
    groups = discovery.legacy_groups(ORDER)["groups"]
    assert [group["name"] for group in groups] == [
        item["metadata"]["name"] for item in discovery.aggregated_groups(REGISTRY, ORDER)["items"]
    ]
    resources = discovery.legacy_resources(REGISTRY, "apps", "v1")
    assert resources is not None
    assert (resources["groupVersion"], resources["apiVersion"]) == ("apps/v1", "v1")
    names = [item["name"] for item in resources["resources"]]
    assert {"deployments", "deployments/scale", "deployments/status", "replicasets"} <= set(names)
    scale = next(item for item in resources["resources"] if item["name"] == "deployments/scale")
    assert scale == {
        "name": "deployments/scale",
        "singularName": "",
        "namespaced": True,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": ["get", "patch", "update"],
    }


def test_pods_have_an_eviction_of_the_policy_group_in_the_legacy_document() -> None:
    resources = discovery.legacy_resources(REGISTRY, "", "v1")
    assert resources is not None and resources["groupVersion"] == "v1"
    eviction = next(item for item in resources["resources"] if item["name"] == "pods/eviction")
    assert (eviction["group"], eviction["version"], eviction["kind"]) == ("policy", "v1", "Eviction")


def test_unknown_groups_have_no_document() -> None:
    assert discovery.legacy_group(ORDER, "example.com") is None
    assert discovery.legacy_resources(REGISTRY, "example.com", "v1") is None


def test_a_custom_resource_appears_behind_the_built_in_groups() -> None:
    registry = builtin_registry()
    schema = Struct("com.example.v1.Widget", dict)
    registry.register(
        KindInfo("example.com", "v1", "Widget", "widgets", "widget", given_schema=schema, hooks=Functions())
    )
    order = in_order(registry.groups(), [])
    names = [item["metadata"]["name"] for item in discovery.aggregated_groups(registry, order)["items"]]
    assert names[-1] == "example.com"
    info = registry.get("example.com", "v1", "widgets")
    assert info is not None
    registry.unregister(info)
    assert registry.get("example.com", "v1", "widgets") is None
