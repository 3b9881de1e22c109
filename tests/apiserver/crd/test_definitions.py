"""Definitions on a running server: served at once, named without conflict, removed with everything they declared."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.apiserver.cluster import Cluster, running_cluster
from tests.apiserver.crd.definitions import CRDS, conditions, crd, establish, wait_for, wait_gone

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUP = "/apis/stable.example.com/v1"


def body(kind: str, name: str, **spec: object) -> dict[str, object]:
    return {
        "apiVersion": "stable.example.com/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"cronSpec": "* * * * *", **spec},
    }


async def test_a_definition_is_established_well_under_a_second_and_serves_at_once(cluster: Cluster) -> None:
    began = time.monotonic()
    found = await establish(cluster, crd("quicks", "Quick"))
    took = time.monotonic() - began
    print(f"\nestablished after {took * 1000:.0f} ms")
    assert took < 0.5
    assert found["status"]["acceptedNames"] == {
        "plural": "quicks",
        "singular": "quick",
        "kind": "Quick",
        "listKind": "QuickList",
    }
    assert found["status"]["storedVersions"] == ["v1"]
    reasons = {one["type"]: (one["reason"], one["message"]) for one in found["status"]["conditions"]}
    assert reasons == {
        "NamesAccepted": ("NoConflicts", "no conflicts found"),
        "Established": ("InitialNamesAccepted", "the initial names have been accepted"),
    }
    await cluster.must("POST", f"{GROUP}/namespaces/default/quicks", body("Quick", "a"))


async def test_discovery_and_openapi_know_it_at_once_and_their_etags_change(cluster: Cluster) -> None:
    accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
    before = await cluster.request("GET", "/apis", headers=accept)
    index_before = (await cluster.must("GET", "/openapi/v3"))["paths"]
    await establish(cluster, crd("seens", "Seen", group="seen.example.com"))
    after = await cluster.request("GET", "/apis", headers=accept)
    assert before.headers["ETag"] != after.headers["ETag"]
    group = next(one for one in after.json["items"] if one["metadata"]["name"] == "seen.example.com")
    assert group["versions"][0]["resources"][0]["responseKind"]["kind"] == "Seen"
    assert [one["name"] for one in (await cluster.must("GET", "/apis/seen.example.com/v1"))["resources"]] == ["seens"]
    index = (await cluster.must("GET", "/openapi/v3"))["paths"]
    assert index["apis/apps/v1"] == index_before["apis/apps/v1"]
    document = await cluster.must("GET", index["apis/seen.example.com/v1"]["serverRelativeURL"])
    schema = document["components"]["schemas"]["com.example.seen.v1.Seen"]
    assert schema["x-kubernetes-group-version-kind"] == [{"group": "seen.example.com", "version": "v1", "kind": "Seen"}]
    assert schema["properties"]["spec"]["properties"]["replicas"]["maximum"] == 10
    v2 = await cluster.must("GET", "/openapi/v2")
    assert "com.example.seen.v1.Seen" in v2["definitions"]


async def test_a_kind_that_is_taken_is_not_served_until_it_is_free(cluster: Cluster) -> None:
    first = crd("firsts", "Taken", group="taken.example.com")
    second = crd("seconds", "Taken", group="taken.example.com")
    await establish(cluster, first)
    created = await cluster.must("POST", CRDS, second)
    refused = await wait_for(cluster, created, "NamesAccepted", "False")
    condition = next(one for one in refused["status"]["conditions"] if one["type"] == "NamesAccepted")
    assert condition["reason"] == "ListKindConflict"
    assert condition["message"] == '"TakenList" is already in use'
    assert conditions(refused)["Established"] == "False"
    assert (await cluster.request("GET", "/apis/taken.example.com/v1/seconds")).status == 404
    await cluster.must("DELETE", f"{CRDS}/firsts.taken.example.com")
    await wait_for(cluster, refused, "Established")
    await cluster.must("GET", "/apis/taken.example.com/v1/seconds")


async def test_a_definition_cannot_take_a_built_in_kind(cluster: Cluster) -> None:
    created = await cluster.must("POST", CRDS, crd("leases", "Lease", group="coordination.k8s.io") | {
        "metadata": {
            "name": "leases.coordination.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "https://example.com/approved"},
        }
    })  # fmt: skip
    await wait_for(cluster, created, "NamesAccepted", "False")
    assert (await cluster.must("GET", "/apis/coordination.k8s.io/v1/leases"))["kind"] == "LeaseList"
    await cluster.must("DELETE", f"{CRDS}/leases.coordination.k8s.io")
    await wait_gone(cluster, f"{CRDS}/leases.coordination.k8s.io")
    await cluster.must("GET", "/apis/coordination.k8s.io/v1/leases")


async def test_deleting_a_definition_removes_its_objects_and_waits_for_their_finalizers(cluster: Cluster) -> None:
    await establish(cluster, crd("goings", "Going"))
    held = body("Going", "held")
    held["metadata"] = {"name": "held", "finalizers": ["example.com/hold"]}
    await cluster.must("POST", f"{GROUP}/namespaces/default/goings", held)
    await cluster.must("POST", f"{GROUP}/namespaces/default/goings", body("Going", "free"))
    deleted = await cluster.must("DELETE", f"{CRDS}/goings.stable.example.com")
    assert deleted["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert conditions(deleted)["Terminating"] == "True"
    await wait_gone(cluster, f"{GROUP}/namespaces/default/goings/free")
    refused = await cluster.request("POST", f"{GROUP}/namespaces/default/goings", body("Going", "late"))
    assert refused.status == 405
    assert (await cluster.must("GET", f"{CRDS}/goings.stable.example.com"))["metadata"]["deletionTimestamp"]
    while "deletionTimestamp" not in (await cluster.must("GET", f"{GROUP}/namespaces/default/goings/held"))["metadata"]:
        await asyncio.sleep(0.01)
    async with cluster.watch(f"{GROUP}/goings?watch=1") as events:
        assert (await events.next())["object"]["metadata"]["name"] == "held"
        await cluster.must(
            "PATCH",
            f"{GROUP}/namespaces/default/goings/held",
            [{"op": "remove", "path": "/metadata/finalizers"}],
            content_type="application/json-patch+json",
        )
        assert (await events.next())["type"] == "DELETED"
        assert await events.ended()
    await wait_gone(cluster, f"{CRDS}/goings.stable.example.com")
    assert (await cluster.request("GET", f"{GROUP}/namespaces/default/goings")).status == 404
    await establish(cluster, crd("goings", "Going"))
    assert (await cluster.must("GET", f"{GROUP}/namespaces/default/goings"))["items"] == []


async def test_what_is_established_is_served_again_after_a_restart_before_anything_listens(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as before:
        await establish(before, crd("lasts", "Last"))
        await before.must("POST", f"{GROUP}/namespaces/default/lasts", body("Last", "a"))
    async with running_cluster(tmp_path) as after:
        found = await after.must("GET", f"{GROUP}/namespaces/default/lasts/a")
        assert found["spec"]["image"] == "busybox"


async def test_a_bad_definition_is_refused_in_upstreams_words(cluster: Cluster) -> None:
    wrong = crd("bads", "Bad")
    wrong["metadata"]["name"] = "x.stable.example.com"
    answer = await cluster.request("POST", CRDS, wrong)
    assert answer.status == 422
    assert answer.json["message"] == (
        'CustomResourceDefinition.apiextensions.k8s.io "x.stable.example.com" is invalid: metadata.name: '
        'Invalid value: "x.stable.example.com": must be spec.names.plural+"."+spec.group'
    )
    unstructural = crd("bads", "Bad", schema={"openAPIV3Schema": {"properties": {"spec": {"properties": {"n": {}}}}}})
    answer = await cluster.request("POST", CRDS, unstructural)
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == [
        "spec.validation.openAPIV3Schema.properties[spec].properties[n].type",
        "spec.validation.openAPIV3Schema.properties[spec].type",
        "spec.validation.openAPIV3Schema.type",
    ]


async def test_a_stored_version_cannot_be_taken_out_of_a_definition(cluster: Cluster) -> None:
    await establish(cluster, crd("olds", "Old"))
    current = await cluster.must("GET", f"{CRDS}/olds.stable.example.com")
    current["spec"]["versions"][0]["name"] = "v2"
    answer = await cluster.request("PUT", f"{CRDS}/olds.stable.example.com", current)
    assert answer.status == 422
    assert "status.storedVersions[0]" in answer.json["message"]
    assert "must remain in spec.versions until a storage migration" in answer.json["message"]


async def test_many_definitions_at_once_are_all_served(cluster: Cluster) -> None:
    names = [f"crowds{index}" for index in range(20)]
    await asyncio.gather(*(cluster.must("POST", CRDS, crd(name, name.capitalize())) for name in names))
    for name in names:
        found = await cluster.must("GET", f"{CRDS}/{name}.stable.example.com")
        await wait_for(cluster, found, "Established")
        await cluster.must("GET", f"{GROUP}/{name}")


async def test_a_definition_in_a_protected_group_says_that_it_is_approved(cluster: Cluster) -> None:
    definition = crd("gates", "Gate", group="gates.k8s.io")
    refused = await cluster.request("POST", CRDS, definition)
    assert "protected groups must have approval annotation" in refused.json["message"]
    definition["metadata"]["annotations"] = {"api-approved.kubernetes.io": "https://example.com/pull/1"}
    found = await establish(cluster, definition)
    conformant = next(
        one for one in found["status"]["conditions"] if one["type"] == "KubernetesAPIApprovalPolicyConformant"
    )
    assert (conformant["status"], conformant["message"]) == ("True", "approved in https://example.com/pull/1")


async def test_scope_and_kind_of_an_established_definition_stay(cluster: Cluster) -> None:
    await establish(cluster, crd("stays", "Stay"))
    current = await cluster.must("GET", f"{CRDS}/stays.stable.example.com")
    current["spec"]["scope"] = "Cluster"
    current["spec"]["names"]["kind"] = "Other"
    answer = await cluster.request("PUT", f"{CRDS}/stays.stable.example.com", current)
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == ["spec.scope", "spec.names.kind"]
    assert answer.json["details"]["causes"][0]["message"] == 'Invalid value: "Cluster": field is immutable'


async def test_a_restart_changes_nothing_in_a_definition(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as first:
        found = await establish(first, crd("agreeds", "Agreed"))
    async with running_cluster(tmp_path) as second:
        await second.must("GET", f"{GROUP}/agreeds")
        again = await second.must("GET", f"{CRDS}/agreeds.stable.example.com")
        assert again["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]
