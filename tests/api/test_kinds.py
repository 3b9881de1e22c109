"""Finding kinds, and the behaviour that stands beside them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tiphys.api.apps.deployment import Deployment
from tiphys.api.core.pod import Pod
from tiphys.api.hooks import Functions, SiblingModules
from tiphys.api.kinds import KindInfo, builtin_registry, info_of
from tiphys.api.schema import Struct
from tiphys.api.status import required

REGISTRY = builtin_registry()


def test_a_kind_is_found_by_plural_by_kind_and_by_model() -> None:
    deployments = REGISTRY.get("apps", "v1", "deployments")
    assert deployments is not None
    assert REGISTRY.by_kind("apps", "v1", "Deployment") is deployments
    assert REGISTRY.by_api_version("apps/v1", "Deployment") is deployments
    assert info_of(Deployment) is deployments and info_of(Deployment()) is deployments
    assert (deployments.api_version, deployments.list_kind) == ("apps/v1", "DeploymentList")
    assert REGISTRY.get("apps", "v2", "deployments") is None


def test_an_object_that_is_no_kind_has_no_info() -> None:
    from tiphys.api.autoscaling.scale import Scale

    with pytest.raises(KeyError):
        info_of(Scale)


def test_every_kind_with_a_list_verb_has_a_list_schema_of_its_items() -> None:
    for info in REGISTRY.all():
        if "list" in info.verbs:
            assert info.list_schema.go_name == info.list_kind
            assert info.list_schema.fields["items"].type.items is info.schema  # type: ignore[union-attr]


def test_subresources_of_another_kind_name_its_group() -> None:
    pods = info_of(Pod)
    eviction = pods.subresources["eviction"]
    assert (eviction.group, eviction.version, eviction.kind) == ("policy", "v1", "Eviction")
    assert (pods.subresources["status"].group, pods.subresources["status"].kind) == ("", "Pod")


def test_groups_know_their_versions() -> None:
    groups = REGISTRY.groups()
    assert groups[""] == ["v1"] and groups["apps"] == ["v1"] and "coordination.k8s.io" in groups


def test_a_kind_without_modules_beside_it_has_only_the_general_behaviour() -> None:
    hooks = SiblingModules("tiphys.api.core.binding", "Binding")
    assert hooks.find("validate") is None and hooks.find("cells") is None and hooks.find("grace_period_seconds") is None


def test_functions_take_the_place_of_modules_for_custom_resources() -> None:
    def validate(obj: dict[str, object]) -> list[object]:
        return [required("spec.size")] if "spec" not in obj else []

    schema = Struct("com.example.v1.Widget", dict)
    info = KindInfo(
        "example.com", "v1", "Widget", "widgets", "widget", given_schema=schema, hooks=Functions(validate=validate)
    )
    assert [str(error) for error in info.validate({})] == ["spec.size: Required value"]
    assert info.validate({"spec": {}}) == [] and info.validate_update({}, {}) == []
    assert [column.name for column in info.columns] == ["Name", "Age"]
    assert info.list_schema.fields["items"].type.items is schema  # type: ignore[union-attr]


def test_every_recorded_resource_is_served() -> None:
    with (Path(__file__).parent.parent / "data" / "discovery.tsv").open() as lines:
        recorded = {(row["group"], row["version"], row["resource"]) for row in csv.DictReader(lines, delimiter="\t")}
    assert recorded - {(info.group, info.version, info.plural) for info in REGISTRY.all()} == set()
