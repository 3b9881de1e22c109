"""Custom resources take the path of every kind: verbs, patches, apply, status, scale, tables, watches, versions."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import pytest_asyncio

from tests.apiserver.cluster import Cluster
from tests.apiserver.crd.definitions import CRDS, CRON_TAB_SCHEMA, crd, establish

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUP = "/apis/stable.example.com/v1"
TABS = f"{GROUP}/namespaces/default/crontabs"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
COLUMNS = [
    {"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec", "description": "The schedule."},
    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
    {"name": "First", "type": "string", "jsonPath": '.spec.ports[?(@.name=="a")].protocol', "priority": 1},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def crontabs(cluster: Cluster) -> None:
    scale = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    definition = crd(
        "crontabs",
        "CronTab",
        subresources={"status": {}, "scale": scale},
        additionalPrinterColumns=COLUMNS,
        selectableFields=[{"jsonPath": ".spec.image"}],
    )
    definition["spec"]["names"] |= {"shortNames": ["ct"], "categories": ["all"]}
    await establish(cluster, definition)


def tab(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "stable.example.com/v1",
        "kind": "CronTab",
        "metadata": {"name": name},
        "spec": {"cronSpec": "* * * * *", **spec},
    }


async def test_defaults_are_filled_in_and_unknown_fields_pruned_with_a_warning(cluster: Cluster) -> None:
    sent = tab("pruned", typo=1, ports=[{"name": "a", "extra": 2}], anything={"kept": {"deep": 1}})
    answer = await cluster.request("POST", TABS, sent)
    assert answer.status == 201
    assert answer.json["spec"] == {
        "cronSpec": "* * * * *",
        "image": "busybox",
        "replicas": 1,
        "ports": [{"name": "a", "protocol": "TCP"}],
        "anything": {"kept": {"deep": 1}},
    }
    warnings = answer.headers["Warning"].replace("\\", "")
    assert 'unknown field "spec.typo"' in warnings
    assert 'unknown field "spec.ports[0].extra"' in warnings


async def test_strict_validation_refuses_unknown_and_repeated_fields(cluster: Cluster) -> None:
    answer = await cluster.request("POST", f"{TABS}?fieldValidation=Strict", tab("strict", typo=1))
    assert answer.status == 400
    assert 'strict decoding error: unknown field "spec.typo"' in answer.json["message"]


async def test_what_the_schema_forbids_is_refused_with_every_path(cluster: Cluster) -> None:
    answer = await cluster.request("POST", TABS, tab("wrong", replicas=11, image=5, settings={"a": 1}))
    assert answer.status == 422
    assert {cause["field"]: cause["message"] for cause in answer.json["details"]["causes"]} == {
        "spec.replicas": "Invalid value: 11: spec.replicas in body should be less than or equal to 10",
        "spec.image": 'Invalid value: "integer": spec.image in body must be of type string: "integer"',
        "spec.settings.a": 'Invalid value: "integer": spec.settings.a in body must be of type string: "integer"',
    }
    missing = await cluster.request("POST", TABS, {**tab("wrong"), "spec": {}})
    assert "spec.cronSpec: Required value" in missing.json["message"]


async def test_generation_counts_the_spec_and_not_the_status(cluster: Cluster) -> None:
    await cluster.must("POST", TABS, tab("counted"))
    changed = await cluster.must("PATCH", f"{TABS}/counted", {"spec": {"replicas": 2}}, content_type=MERGE)
    assert changed["metadata"]["generation"] == 2
    labelled = await cluster.must("PATCH", f"{TABS}/counted", {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
    assert labelled["metadata"]["generation"] == 2
    ignored = await cluster.must("PATCH", f"{TABS}/counted", {"status": {"replicas": 9}}, content_type=MERGE)
    assert "status" not in ignored
    patch = {"status": {"replicas": 3, "selector": "a=b"}, "spec": {"replicas": 5}, "metadata": {"labels": {"c": "d"}}}
    status = await cluster.must("PATCH", f"{TABS}/counted/status", patch, content_type=MERGE)
    assert status["status"] == {"replicas": 3, "selector": "a=b"}
    assert status["spec"]["replicas"] == 2
    assert status["metadata"]["labels"] == {"a": "b"}
    assert status["metadata"]["generation"] == 2


async def test_scale_reads_and_writes_the_declared_paths(cluster: Cluster) -> None:
    await cluster.must("POST", TABS, tab("scaled", replicas=2))
    patch = {"status": {"replicas": 2, "selector": "app=x"}}
    await cluster.must("PATCH", f"{TABS}/scaled/status", patch, content_type=MERGE)
    scale = await cluster.must("GET", f"{TABS}/scaled/scale")
    assert (scale["kind"], scale["spec"], scale["status"]) == (
        "Scale",
        {"replicas": 2},
        {"replicas": 2, "selector": "app=x"},
    )
    scale["spec"]["replicas"] = 4
    assert (await cluster.must("PUT", f"{TABS}/scaled/scale", scale))["spec"] == {"replicas": 4}
    after = await cluster.must("GET", f"{TABS}/scaled")
    assert (after["spec"]["replicas"], after["metadata"]["generation"]) == (4, 2)
    refused = await cluster.request("PATCH", f"{TABS}/scaled/scale", {"spec": {"replicas": 11}}, content_type=MERGE)
    assert refused.status == 422


async def test_strategic_merge_is_no_patch_for_custom_resources(cluster: Cluster) -> None:
    await cluster.must("POST", TABS, tab("patched"))
    path = f"{TABS}/patched"
    answer = await cluster.request("PATCH", path, {}, content_type="application/strategic-merge-patch+json")
    assert answer.status == 415
    assert answer.json["message"] == (
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, "
        "application/merge-patch+json, application/apply-patch+yaml"
    )
    operations = [{"op": "replace", "path": "/spec/replicas", "value": 7}]
    patched = await cluster.must("PATCH", path, operations, content_type="application/json-patch+json")
    assert patched["spec"]["replicas"] == 7


async def test_apply_merges_keyed_lists_and_names_conflicts(cluster: Cluster) -> None:
    path = f"{TABS}/applied"
    one = tab("applied", ports=[{"name": "a", "port": 1}])
    created = await cluster.request("PATCH", f"{path}?fieldManager=one", one, content_type=APPLY)
    assert created.status == 201
    entry = created.json["metadata"]["managedFields"][0]
    assert entry["fieldsV1"]["f:spec"]["f:ports"] == {'k:{"name":"a"}': {".": {}, "f:name": {}, "f:port": {}}}
    two = tab("applied", ports=[{"name": "b", "port": 2}])
    merged = await cluster.must("PATCH", f"{path}?fieldManager=two", two, content_type=APPLY)
    assert [port["name"] for port in merged["spec"]["ports"]] == ["a", "b"]
    conflict = await cluster.request(
        "PATCH", f"{path}?fieldManager=two", tab("applied", ports=[{"name": "a", "port": 9}]), content_type=APPLY
    )
    assert conflict.status == 409
    assert conflict.json["details"]["causes"][0]["field"] == '.spec.ports[name="a"].port'
    same = await cluster.must("PATCH", f"{path}?fieldManager=two", two, content_type=APPLY)
    assert same["metadata"]["resourceVersion"] == merged["metadata"]["resourceVersion"]


async def test_the_table_has_the_declared_columns(cluster: Cluster) -> None:
    await cluster.must("POST", TABS, tab("shown", ports=[{"name": "a"}, {"name": "b"}]))
    table = await cluster.must("GET", f"{TABS}/shown", headers=TABLE)
    assert [(one["name"], one["type"], one["priority"]) for one in table["columnDefinitions"]] == [
        ("Name", "string", 0),
        ("Spec", "string", 0),
        ("Replicas", "integer", 0),
        ("First", "string", 1),
        ("Age", "date", 0),
    ]
    assert table["rows"][0]["cells"][:4] == ["shown", "* * * * *", 1, "TCP"]
    async with cluster.watch(f"{TABS}?watch=1&fieldSelector=metadata.name=shown", **TABLE) as events:
        assert (await events.next())["object"]["rows"][0]["cells"][0] == "shown"


async def test_selectable_fields_select_in_lists_and_watches(cluster: Cluster) -> None:
    await cluster.must("POST", TABS, tab("chosen", image="special"))
    listed = await cluster.must("GET", f"{TABS}?fieldSelector=spec.image=special")
    assert [one["metadata"]["name"] for one in listed["items"]] == ["chosen"]
    async with cluster.watch(f"{TABS}?watch=1&fieldSelector=spec.image=special") as events:
        assert (await events.next())["object"]["metadata"]["name"] == "chosen"
        await cluster.must("PATCH", f"{TABS}/chosen", {"spec": {"image": "other"}}, content_type=MERGE)
        assert (await events.next())["type"] == "DELETED"
    refused = await cluster.request("GET", f"{TABS}?fieldSelector=spec.cronSpec=x")
    assert refused.json["message"] == "field label not supported: spec.cronSpec"


async def test_an_update_must_say_which_version_it_replaces(cluster: Cluster) -> None:
    created = await cluster.must("POST", TABS, tab("versioned"))
    del created["metadata"]["resourceVersion"]
    answer = await cluster.request("PUT", f"{TABS}/versioned", created)
    assert answer.status == 422
    assert "must be specified for an update" in answer.json["message"]


async def test_a_dry_run_writes_nothing(cluster: Cluster) -> None:
    answer = await cluster.must("POST", f"{TABS}?dryRun=All", tab("dry"))
    assert answer["spec"]["image"] == "busybox"
    assert "resourceVersion" not in answer["metadata"]
    assert (await cluster.request("GET", f"{TABS}/dry")).status == 404


async def test_a_new_default_shows_on_objects_that_are_there_already(cluster: Cluster) -> None:
    await establish(cluster, crd("lates", "Late"))
    lates = f"{GROUP}/namespaces/default/lates"
    await cluster.must("POST", lates, {**tab("before"), "kind": "Late"})
    definition = await cluster.must("GET", f"{CRDS}/lates.stable.example.com")
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["added"] = {"type": "string", "default": "new"}
    document = "/openapi/v3/apis/stable.example.com/v1"
    old = (await cluster.request("GET", document)).headers["ETag"]
    async with cluster.watch("/apis/stable.example.com/v1/lates?watch=1") as events:
        await events.next()
        await cluster.must("PUT", f"{CRDS}/lates.stable.example.com", definition)
        while "added" not in (await cluster.must("GET", f"{lates}/before"))["spec"]:
            pass
    assert (await cluster.must("GET", lates))["items"][0]["spec"]["added"] == "new"
    assert (await cluster.request("GET", document)).headers["ETag"] != old
    patched = await cluster.must("PATCH", f"{lates}/before", {"spec": {"replicas": 3}}, content_type=MERGE)
    assert (patched["spec"]["added"], patched["metadata"]["generation"]) == ("new", 2)


async def test_versions_are_views_of_the_same_objects(cluster: Cluster) -> None:
    definition = crd("eras", "Era")
    text = {"type": "string"}
    other = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"cronSpec": text, "image": text}}},
    }
    definition["spec"]["versions"] = [
        {"name": "v1beta1", "served": True, "storage": False, "deprecated": True, "schema": {"openAPIV3Schema": other}},
        {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": CRON_TAB_SCHEMA}},
        {"name": "v0", "served": False, "storage": False, "schema": {"openAPIV3Schema": other}},
    ]
    await establish(cluster, definition)
    old, new = (f"/apis/stable.example.com/{version}/namespaces/default/eras" for version in ("v1beta1", "v1"))
    sent = {**tab("one"), "kind": "Era", "apiVersion": "stable.example.com/v1beta1"}
    created = await cluster.request("POST", old, sent)
    assert created.status == 201
    assert created.json["apiVersion"] == "stable.example.com/v1beta1"
    assert created.headers["Warning"] == (
        '299 - "stable.example.com/v1beta1 Era is deprecated; use stable.example.com/v1 Era"'
    )
    seen = await cluster.must("GET", f"{new}/one")
    assert (seen["apiVersion"], seen["spec"]["replicas"]) == ("stable.example.com/v1", 1)
    async with cluster.watch(f"{old}?watch=1&resourceVersion={seen['metadata']['resourceVersion']}") as events:
        await cluster.must("PATCH", f"{new}/one", {"spec": {"image": "x"}}, content_type=MERGE)
        event = await events.next()
        assert event["object"]["apiVersion"] == "stable.example.com/v1beta1"
        assert event["object"]["spec"] == {"cronSpec": "* * * * *", "image": "x"}
    listed = await cluster.must("GET", old)
    assert {item["apiVersion"] for item in listed["items"]} == {"stable.example.com/v1beta1"}
    assert (await cluster.request("GET", "/apis/stable.example.com/v0/namespaces/default/eras")).status == 404
    group = await cluster.must("GET", "/apis/stable.example.com")
    assert [one["version"] for one in group["versions"]] == ["v1", "v1beta1"]


async def test_objects_stored_in_an_older_version_are_read_in_the_new_one_and_moved_when_written(
    cluster: Cluster,
) -> None:
    definition = crd("moves", "Move")
    await establish(cluster, definition)
    moves = "/apis/stable.example.com/{}/namespaces/default/moves"
    sent = {**tab("one", settings={"a": "b"}), "kind": "Move"}
    await cluster.must("POST", moves.format("v1"), sent)
    current = await cluster.must("GET", f"{CRDS}/moves.stable.example.com")
    schema = copy.deepcopy(CRON_TAB_SCHEMA)
    schema["properties"]["spec"]["properties"]["newer"] = {"type": "string"}
    current["spec"]["versions"][0]["storage"] = False
    new = {"name": "v2", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    current["spec"]["versions"].append(new)
    updated = await cluster.must("PUT", f"{CRDS}/moves.stable.example.com", current)
    assert updated["status"]["storedVersions"] == ["v1", "v2"]
    while (await cluster.request("GET", moves.format("v2"))).status == 404:
        pass
    seen = await cluster.must("GET", moves.format("v2") + "/one")
    assert (seen["apiVersion"], seen["spec"]["settings"]) == ("stable.example.com/v2", {"a": "b"})
    patch = {"spec": {"newer": "x"}}
    await cluster.must("PATCH", moves.format("v2") + "/one", patch, content_type=MERGE)
    assert "newer" not in (await cluster.must("GET", moves.format("v1") + "/one"))["spec"]
    assert (await cluster.must("GET", moves.format("v2") + "/one"))["spec"]["newer"] == "x"
    entry, _ = await cluster.server.resources.store.get("/registry/stable.example.com/moves/default/one")
    assert entry is not None and b'"apiVersion":"stable.example.com/v2"' in entry.value[:80]


async def test_deletecollection_deletes_what_a_list_shows(cluster: Cluster) -> None:
    await establish(cluster, crd("swepts", "Swept"))
    swepts = f"{GROUP}/namespaces/default/swepts"
    for name in ("a", "b"):
        await cluster.must("POST", swepts, {**tab(name), "kind": "Swept"})
    await cluster.must("DELETE", f"{swepts}?fieldSelector=metadata.name=a")
    assert [item["metadata"]["name"] for item in (await cluster.must("GET", swepts))["items"]] == ["b"]


async def test_a_cluster_wide_kind_has_no_namespace(cluster: Cluster) -> None:
    definition = crd("wides", "Wide")
    definition["spec"]["scope"] = "Cluster"
    await establish(cluster, definition)
    created = await cluster.must("POST", f"{GROUP}/wides", {**tab("one"), "kind": "Wide"})
    assert "namespace" not in created["metadata"]
    assert (await cluster.request("GET", f"{GROUP}/namespaces/default/wides/one")).status == 404
