"""What GitOps tools (Flux, Argo CD, Helm) do at every reconciliation, call by call, and the details they rely on."""

from __future__ import annotations

import pytest

from tests.cli.running import RunningCluster
from tests.cli.waiting import until
from tests.clients.calls import APPLY, JSON_PATCH, Api, Object

MAPS = "/api/v1/namespaces/default/configmaps"
FLUX = "fieldManager=kustomize-controller&force=true"


@pytest.fixture(scope="module")
def api(cluster: RunningCluster) -> Api:
    return Api(cluster)


def config_map(name: str, value: str = "1") -> Object:
    metadata = {"name": name, "labels": {"kustomize.toolkit.fluxcd.io/name": "app"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": value}}


def test_a_dry_run_tells_by_the_missing_resource_version_that_it_would_create(api: Api) -> None:
    path = f"{MAPS}/flux"
    assert api.call("GET", path)["reason"] == "NotFound"
    tried = api.call("PATCH", f"{path}?{FLUX}&dryRun=All", config_map("flux"), **APPLY)
    assert tried["data"] == {"a": "1"} and "resourceVersion" not in tried["metadata"]
    made = api.call("PATCH", f"{path}?{FLUX}", config_map("flux"), **APPLY)
    tried = api.call("PATCH", f"{path}?{FLUX}&dryRun=All", config_map("flux", "2"), **APPLY)
    assert tried["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_applying_the_same_again_changes_neither_version_nor_times(api: Api) -> None:
    path = f"{MAPS}/same"
    first = api.call("PATCH", f"{path}?{FLUX}", config_map("same"), **APPLY)
    assert api.call("PATCH", f"{path}?{FLUX}&dryRun=All", config_map("same"), **APPLY) == first
    assert api.call("PATCH", f"{path}?{FLUX}", config_map("same"), **APPLY) == first


def test_drift_shows_in_a_dry_run_and_is_put_right(api: Api) -> None:
    path = f"{MAPS}/drift"
    api.call("PATCH", f"{path}?{FLUX}", config_map("drift"), **APPLY)
    edit = [{"op": "replace", "path": "/data/a", "value": "edited"}]
    edited = api.call("PATCH", f"{path}?fieldManager=kubectl-edit", edit, **JSON_PATCH)
    assert edited["data"] == {"a": "edited"}
    assert api.call("PATCH", f"{path}?{FLUX}&dryRun=All", config_map("drift"), **APPLY)["data"] == {"a": "1"}
    refused = api.call("PATCH", f"{path}?fieldManager=kustomize-controller", config_map("drift"), **APPLY)
    assert (refused["code"], refused["reason"]) == (409, "Conflict")
    assert refused["details"]["causes"][0]["field"] == ".data.a"
    assert api.call("PATCH", f"{path}?{FLUX}", config_map("drift"), **APPLY)["data"] == {"a": "1"}


def test_managers_are_taken_over_by_a_json_patch(api: Api) -> None:
    path = f"{MAPS}/managers"
    api.call("POST", f"{MAPS}?fieldManager=kubectl-client-side-apply", config_map("managers"))
    found = api.call("GET", path)
    entries = [{**entry, "manager": "kustomize-controller", "operation": "Apply"} for entry in managed(found)]
    replace = {"op": "replace", "path": "/metadata/managedFields", "value": entries}
    version = {"op": "replace", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"]}
    moved = api.call("PATCH", path, [replace, version], **JSON_PATCH)
    assert [(entry["manager"], entry["operation"]) for entry in managed(moved)] == [("kustomize-controller", "Apply")]
    emptied = {**config_map("managers"), "data": {}}
    assert "data" not in api.call("PATCH", f"{path}?{FLUX}", emptied, **APPLY)  # what it owns and no longer names goes
    reset = api.call("PATCH", path, [{**replace, "value": [{}]}], **JSON_PATCH)
    assert managed(reset) == []
    stale = api.call("PATCH", path, [{**replace, "op": "add"}, version], **JSON_PATCH)
    assert (stale["code"], stale["reason"]) == (409, "Conflict"), stale["message"]


def managed(obj: Object) -> list[Object]:
    entries: list[Object] = obj["metadata"].get("managedFields", [])
    return entries


def test_an_immutable_field_is_refused_in_words_that_tools_look_for(api: Api) -> None:
    path = "/api/v1/namespaces/default/secrets/fixed"
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "fixed"}, "immutable": True, "stringData": {}}
    api.call("PATCH", f"{path}?{FLUX}", {**body, "stringData": {"a": "1"}}, **APPLY)
    refused = api.call("PATCH", f"{path}?{FLUX}", {**body, "stringData": {"a": "2"}}, **APPLY)
    assert refused["code"] == 422 and "immutable" in refused["message"]


def test_pruning_deletes_in_the_background(api: Api) -> None:
    path = f"{MAPS}/pruned"
    made = api.call("PATCH", f"{path}?{FLUX}", config_map("pruned"), **APPLY)
    options = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": made["metadata"]["uid"]},
    }
    assert api.call("DELETE", path, options)["status"] == "Success"
    until(lambda: api.call("GET", path).get("code") == 404, "nothing is left")


def test_objects_say_which_generation_their_status_is_of(cluster: RunningCluster, api: Api) -> None:
    cluster.ok("create", "deployment", "observed", "--image=x")
    cluster.ok("rollout", "status", "deployment/observed", "--timeout=40s")
    found = api.call("GET", "/apis/apps/v1/namespaces/default/deployments/observed")
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
    conditions = {condition["type"]: condition for condition in found["status"]["conditions"]}
    assert conditions["Available"]["status"] == "True"
    assert conditions["Progressing"]["reason"] == "NewReplicaSetAvailable"
    cluster.ok("delete", "deployment", "observed")
