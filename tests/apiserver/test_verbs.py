"""The verbs through a running server: what a client can count on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.apiserver.cluster import Cluster
from tiphys.api.declaration import struct_of
from tiphys.api.meta import DeleteOptions
from tiphys.api.protobuf import encode_protobuf

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
MERGE = "application/merge-patch+json"


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str) -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "i:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


async def test_what_was_created_can_be_read_listed_updated_and_deleted(cluster: Cluster) -> None:
    created = await cluster.must("POST", CONFIGMAPS, config_map("crud", a="1"))
    assert created["metadata"]["uid"] and created["metadata"]["resourceVersion"]
    assert await cluster.must("GET", f"{CONFIGMAPS}/crud") == created
    assert created in (await cluster.must("GET", CONFIGMAPS))["items"]
    updated = await cluster.must("PUT", f"{CONFIGMAPS}/crud", {**created, "data": {"a": "2"}})
    assert int(updated["metadata"]["resourceVersion"]) > int(created["metadata"]["resourceVersion"])
    stale = await cluster.request("PUT", f"{CONFIGMAPS}/crud", {**created, "data": {"a": "3"}})
    assert stale.status == 409 and stale.json["reason"] == "Conflict"
    gone = await cluster.must("DELETE", f"{CONFIGMAPS}/crud")
    assert gone["status"] == "Success" and gone["details"]["uid"] == created["metadata"]["uid"]
    missing = await cluster.request("GET", f"{CONFIGMAPS}/crud")
    assert missing.status == 404 and missing.json["message"] == 'configmaps "crud" not found'


async def test_a_dry_run_shows_the_object_and_stores_nothing(cluster: Cluster) -> None:
    shown = await cluster.must("POST", CONFIGMAPS + "?dryRun=All", config_map("dry"))
    assert shown["metadata"]["uid"] and "resourceVersion" not in shown["metadata"]
    assert (await cluster.request("GET", f"{CONFIGMAPS}/dry")).status == 404
    await cluster.must("POST", CONFIGMAPS, config_map("dry", a="1"))
    patched = await cluster.must("PATCH", f"{CONFIGMAPS}/dry?dryRun=All", {"data": {"a": "2"}}, content_type=MERGE)
    assert patched["data"] == {"a": "2"}
    await cluster.must("DELETE", f"{CONFIGMAPS}/dry?dryRun=All")
    assert (await cluster.must("GET", f"{CONFIGMAPS}/dry"))["data"] == {"a": "1"}
    refused = await cluster.request("POST", CONFIGMAPS + "?dryRun=Some", config_map("other"))
    assert refused.status == 422 and 'supported values: "All"' in refused.json["message"]


async def test_an_unknown_field_is_refused_warned_about_or_dropped_as_asked(cluster: Cluster) -> None:
    body = {**config_map("fields"), "bogus": 1}
    strict = await cluster.request("POST", CONFIGMAPS + "?fieldValidation=Strict&dryRun=All", body)
    assert strict.status == 400 and 'strict decoding error: unknown field "bogus"' in strict.json["message"]
    warned = await cluster.request("POST", CONFIGMAPS + "?dryRun=All", body)
    assert warned.status == 201 and warned.headers["Warning"] == '299 - "unknown field \\"bogus\\""'
    ignored = await cluster.request("POST", CONFIGMAPS + "?fieldValidation=Ignore&dryRun=All", body)
    assert ignored.status == 201 and "Warning" not in ignored.headers
    twice = b'{"metadata":{"name":"f"},"data":{"a":"1","a":"2"}}'
    repeated = await cluster.request("POST", CONFIGMAPS + "?fieldValidation=Strict&dryRun=All", twice)
    assert repeated.status == 400 and 'duplicate field "data.a"' in repeated.json["message"]


async def test_pages_of_a_list_show_one_revision(cluster: Cluster) -> None:
    await cluster.must("POST", "/api/v1/namespaces", {"metadata": {"name": "pages"}})
    base = "/api/v1/namespaces/pages/configmaps"
    for number in range(5):
        await cluster.must("POST", base, config_map(f"m{number}"))
    first = await cluster.must("GET", f"{base}?limit=2")
    assert first["metadata"]["remainingItemCount"] == 3
    await cluster.must("POST", base, config_map("m9"))
    await cluster.must("DELETE", f"{base}/m3")
    second = await cluster.must("GET", f"{base}?limit=9&continue={first['metadata']['continue']}")
    names = [item["metadata"]["name"] for item in [*first["items"], *second["items"]]]
    assert names == ["m0", "m1", "m2", "m3", "m4"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    broken = await cluster.request("GET", f"{base}?limit=1&continue=nonsense")
    assert broken.status == 400 and broken.json["message"].startswith("continue key is not valid")


async def test_selectors_choose_and_bad_ones_are_refused(cluster: Cluster) -> None:
    for name, label in (("s1", "x"), ("s2", "y")):
        labelled = config_map(name)
        labelled["metadata"]["labels"] = {"sel": label}
        await cluster.must("POST", CONFIGMAPS, labelled)

    async def names(query: str) -> list[str]:
        found = await cluster.must("GET", f"{CONFIGMAPS}?{query}")
        return [item["metadata"]["name"] for item in found["items"]]

    assert await names("labelSelector=sel") == ["s1", "s2"]
    assert await names("labelSelector=sel+in+(x)") == ["s1"]
    assert await names("fieldSelector=metadata.name%3Ds2") == ["s2"]
    assert await names("labelSelector=sel&fieldSelector=metadata.name!%3Ds2") == ["s1"]
    unknown = await cluster.request("GET", f"{CONFIGMAPS}?fieldSelector=spec.foo%3D1")
    assert unknown.status == 400 and unknown.json["message"] == "field label not supported: spec.foo"
    assert (await cluster.request("GET", f"{CONFIGMAPS}?labelSelector=a+b+c")).status == 400
    deleted = await cluster.must("DELETE", f"{CONFIGMAPS}?labelSelector=sel%3Dx")
    assert [item["metadata"]["name"] for item in deleted["items"]] == ["s1"]
    assert await names("labelSelector=sel") == ["s2"]


async def test_a_version_from_the_future_and_one_of_nobody_are_refused(cluster: Cluster) -> None:
    late = await cluster.request("GET", f"{CONFIGMAPS}?resourceVersion=99999999")
    assert late.status == 504 and "Too large resource version" in late.json["message"]
    assert (await cluster.request("GET", f"{CONFIGMAPS}?resourceVersion=abc")).status == 400
    wrong = await cluster.request("GET", f"{CONFIGMAPS}?resourceVersionMatch=Exact")
    assert wrong.status == 422


async def test_names_are_generated_and_a_body_must_fit_its_url(cluster: Cluster) -> None:
    made = await cluster.must("POST", CONFIGMAPS, {"metadata": {"generateName": "gen-"}})
    assert made["metadata"]["name"].startswith("gen-") and len(made["metadata"]["name"]) == 9
    nameless = await cluster.request("POST", CONFIGMAPS, {"metadata": {}})
    assert nameless.status == 422 and "name or generateName is required" in nameless.json["message"]
    elsewhere = {"metadata": {"name": "x", "namespace": "other"}}
    assert (await cluster.request("POST", CONFIGMAPS, elsewhere)).status == 400
    renamed = await cluster.request("PUT", f"{CONFIGMAPS}/a", config_map("b"))
    assert renamed.status == 400 and "does not match the name on the URL (a)" in renamed.json["message"]


async def test_finalizers_hold_a_deleted_object_until_they_are_gone(cluster: Cluster) -> None:
    body = config_map("held")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    await cluster.must("POST", CONFIGMAPS, body)
    marked = await cluster.must("DELETE", f"{CONFIGMAPS}/held")
    assert marked["metadata"]["deletionTimestamp"] and marked["metadata"]["deletionGracePeriodSeconds"] == 0
    again = await cluster.must("DELETE", f"{CONFIGMAPS}/held")
    assert again["metadata"]["resourceVersion"] == marked["metadata"]["resourceVersion"]
    added = {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    refused = await cluster.request("PATCH", f"{CONFIGMAPS}/held", added, content_type=MERGE)
    assert refused.status == 422 and "no new finalizers can be added" in refused.json["message"]
    await cluster.must("PATCH", f"{CONFIGMAPS}/held", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert (await cluster.request("GET", f"{CONFIGMAPS}/held")).status == 404


async def test_the_propagation_policy_becomes_a_finalizer(cluster: Cluster) -> None:
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        name = policy.lower()
        await cluster.must("POST", CONFIGMAPS, config_map(name))
        left = await cluster.must("DELETE", f"{CONFIGMAPS}/{name}", {"propagationPolicy": policy})
        assert left["metadata"]["finalizers"] == [finalizer]
        await cluster.must("PATCH", f"{CONFIGMAPS}/{name}", {"metadata": {"finalizers": None}}, content_type=MERGE)
    both = {"propagationPolicy": "Orphan", "orphanDependents": True}
    await cluster.must("POST", CONFIGMAPS, config_map("both"))
    assert (await cluster.request("DELETE", f"{CONFIGMAPS}/both", both)).status == 422


async def test_a_pod_without_a_node_goes_at_once_and_a_bound_one_gets_its_grace(cluster: Cluster) -> None:
    await cluster.must("POST", PODS, pod("loose"))
    assert (await cluster.must("DELETE", f"{PODS}/loose"))["kind"] == "Pod"
    assert (await cluster.request("GET", f"{PODS}/loose")).status == 404
    await cluster.must("POST", PODS, pod("bound"))
    binding = {"metadata": {"name": "bound"}, "target": {"kind": "Node", "name": "n1"}}
    await cluster.must("POST", f"{PODS}/bound/binding", binding)
    again = await cluster.request("POST", f"{PODS}/bound/binding", binding)
    assert again.status == 409 and 'already assigned to node "n1"' in again.json["message"]
    found = await cluster.must("GET", f"{PODS}/bound")
    assert found["spec"]["nodeName"] == "n1"
    assert [one["status"] for one in found["status"]["conditions"] if one["type"] == "PodScheduled"] == ["True"]
    leaving = await cluster.must("DELETE", f"{PODS}/bound")
    assert leaving["metadata"]["deletionGracePeriodSeconds"] == 30
    shorter = await cluster.must("DELETE", f"{PODS}/bound", {"gracePeriodSeconds": 5})
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 5
    longer = await cluster.must("DELETE", f"{PODS}/bound", {"gracePeriodSeconds": 60})
    assert longer["metadata"]["deletionGracePeriodSeconds"] == 5
    await cluster.must("DELETE", f"{PODS}/bound", {"gracePeriodSeconds": 0})
    assert (await cluster.request("GET", f"{PODS}/bound")).status == 404


async def test_patches_of_many_clients_at_once_all_arrive(cluster: Cluster) -> None:
    await cluster.must("POST", CONFIGMAPS, config_map("busy"))

    async def one(number: int) -> None:
        patch = {"data": {f"k{number}": "v"}}
        await cluster.must("PATCH", f"{CONFIGMAPS}/busy", patch, content_type=MERGE)

    await asyncio.gather(*(one(number) for number in range(20)))
    assert len((await cluster.must("GET", f"{CONFIGMAPS}/busy"))["data"]) == 20


async def test_yaml_goes_in_and_comes_out(cluster: Cluster) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata: {when: '22:22'}\n"
    await cluster.must("POST", CONFIGMAPS, text, content_type="application/yaml")
    shown = await cluster.request("GET", f"{CONFIGMAPS}/yaml", headers={"Accept": "application/yaml"})
    assert shown.headers["Content-Type"] == "application/yaml" and b"22:22" in shown.body
    refused = await cluster.request("GET", f"{CONFIGMAPS}/yaml", headers={"Accept": "text/html"})
    assert refused.status == 406
    odd = await cluster.request("POST", CONFIGMAPS, b"x", content_type="application/cbor")
    assert odd.status == 415


async def test_tables_and_bare_metadata_come_where_they_are_asked_for(cluster: Cluster) -> None:
    table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    shown = await cluster.request("GET", "/api/v1/namespaces", headers={"Accept": table})
    assert shown.headers["Content-Type"].startswith("application/json;as=Table")
    assert shown.json["kind"] == "Table"
    assert [column["name"] for column in shown.json["columnDefinitions"]][:2] == ["Name", "Status"]
    assert shown.json["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    bare = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    listed = await cluster.request("GET", "/api/v1/namespaces", headers={"Accept": bare})
    assert listed.json["kind"] == "PartialObjectMetadataList" and "spec" not in listed.json["items"][0]
    protobuf = "application/vnd.kubernetes.protobuf,application/json"
    plain = await cluster.request("GET", "/api/v1/namespaces", headers={"Accept": protobuf})
    assert plain.headers["Content-Type"] == "application/vnd.kubernetes.protobuf"


async def test_a_large_answer_is_compressed_for_who_accepts_it(cluster: Cluster) -> None:
    await cluster.must("POST", CONFIGMAPS, config_map("large", blob="x" * 300_000))
    answer = await cluster.request("GET", f"{CONFIGMAPS}/large", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip" and len(answer.json["data"]["blob"]) == 300_000
    plain = await cluster.request("GET", f"{CONFIGMAPS}/large", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers and plain.json == answer.json
    await cluster.must("DELETE", f"{CONFIGMAPS}/large")


async def test_a_body_that_is_too_large_or_too_deep_is_refused(cluster: Cluster) -> None:
    huge = await cluster.request("POST", CONFIGMAPS, b'{"a":"' + b"x" * (4 * 1024 * 1024) + b'"}')
    assert huge.status == 413 and huge.json["reason"] == "RequestEntityTooLarge"
    deep = await cluster.request("POST", CONFIGMAPS, b'{"a":' * 20_000 + b"1" + b"}" * 20_000)
    assert deep.status == 400
    broken = await cluster.request("POST", CONFIGMAPS, b'{"kind"')
    assert broken.status == 400
    listing = await cluster.request("POST", CONFIGMAPS, b"[1,2]")
    assert listing.status == 400


async def test_an_apply_creates_then_owns_then_conflicts(cluster: Cluster) -> None:
    apply = "application/apply-patch+yaml"
    path = f"{CONFIGMAPS}/applied"
    made = await cluster.request("PATCH", path + "?fieldManager=a", config_map("applied", k="1"), content_type=apply)
    assert made.status == 201
    same = await cluster.request("PATCH", path + "?fieldManager=a", config_map("applied", k="1"), content_type=apply)
    assert same.json["metadata"]["resourceVersion"] == made.json["metadata"]["resourceVersion"]
    other = await cluster.request("PATCH", path + "?fieldManager=b", config_map("applied", k="2"), content_type=apply)
    assert other.status == 409 and 'conflict with "a"' in other.json["message"]
    force = path + "?fieldManager=b&force=true"
    taken = await cluster.must("PATCH", force, config_map("applied", k="2"), content_type=apply)
    assert [entry["manager"] for entry in taken["metadata"]["managedFields"]] == ["b"]


async def test_paths_that_can_be_read_in_two_ways_are_refused(cluster: Cluster) -> None:
    for path in (
        "/api/v1//namespaces",
        "/api/v1/namespaces/default/../kube-system/secrets",
        "/api/v1/namespaces/default%2fsecrets",
        "/api/v1/namespaces/%2e%2e/pods",
        "/api/v1/namespaces/default/configmaps/a%5cb",
    ):
        assert (await cluster.request("GET", path)).status in (400, 404), path
    assert (await cluster.request("GET", "/api/v1/nothing")).status == 404
    assert (await cluster.request("GET", "/nothing")).status == 404
    assert (await cluster.request("POST", "/api/v1/pods", pod("x"))).status == 405
    assert (await cluster.request("DELETE", "/api/v1/namespaces")).status == 405


async def test_a_status_write_changes_the_status_only(cluster: Cluster) -> None:
    made = await cluster.must("POST", PODS, pod("status"))
    changed = json.loads(json.dumps(made))
    changed["spec"]["containers"][0]["image"] = "other:1"
    changed["status"]["phase"] = "Running"
    after = await cluster.must("PUT", f"{PODS}/status/status", changed)
    assert after["status"]["phase"] == "Running" and after["spec"] == made["spec"]
    again = await cluster.must("PUT", f"{PODS}/status", {**after, "status": {"phase": "Failed"}})
    assert again["status"]["phase"] == "Running"
    await cluster.must("DELETE", f"{PODS}/status")


async def test_a_namespace_under_deletion_takes_nothing_new_and_goes_when_finalized(cluster: Cluster) -> None:
    await cluster.must("POST", "/api/v1/namespaces", {"metadata": {"name": "leaving"}})
    gone = await cluster.must("DELETE", "/api/v1/namespaces/leaving")
    assert gone["status"]["phase"] == "Terminating" and gone["metadata"]["deletionTimestamp"]
    refused = await cluster.request("POST", "/api/v1/namespaces/leaving/configmaps", config_map("x"))
    assert refused.status == 403 and "because it is being terminated" in refused.json["message"]
    gone["spec"] = {}
    await cluster.must("PUT", "/api/v1/namespaces/leaving/finalize", gone)
    assert (await cluster.request("GET", "/api/v1/namespaces/leaving")).status == 404
    kept = await cluster.request("DELETE", "/api/v1/namespaces/default")
    assert kept.status == 403 and "this namespace may not be deleted" in kept.json["message"]


async def test_a_lease_is_created_by_put_but_never_updated_blindly(cluster: Cluster) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}}
    made = await cluster.request("PUT", f"{path}/l", lease)
    assert made.status == 201
    blind = await cluster.request("PUT", f"{path}/l", lease)
    assert blind.status == 422 and "must be specified for an update" in blind.json["message"]


async def test_protobuf_comes_in(cluster: Cluster) -> None:
    code, out, error = await cluster.kubectl("create", "namespace", "from-protobuf")
    assert code == 0, error
    assert out == "namespace/from-protobuf created\n"


async def test_delete_options_may_come_as_protobuf(cluster: Cluster) -> None:
    await cluster.must("POST", CONFIGMAPS, config_map("proto"))
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Orphan"}
    body = encode_protobuf(options, struct_of(DeleteOptions))
    protobuf = "application/vnd.kubernetes.protobuf"
    left = await cluster.must("DELETE", f"{CONFIGMAPS}/proto", body, content_type=protobuf)
    assert left["metadata"]["finalizers"] == ["orphan"]


async def test_an_eviction_deletes_the_pod(cluster: Cluster) -> None:
    await cluster.must("POST", PODS, pod("evicted"))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "evicted"}}
    await cluster.must("POST", f"{PODS}/evicted/eviction", eviction)
    assert (await cluster.request("GET", f"{PODS}/evicted")).status == 404
