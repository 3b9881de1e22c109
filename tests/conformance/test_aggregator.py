"""An extension API server behind a Service, registered with an APIService: a real one, in this test run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apiserver.aggregator.extension import (
    APISERVICES,
    BASE,
    GROUP,
    NAME,
    VERSION,
    Extension,
    apiservice,
    extension,
    own_address,
    service_and_slice,
    serving_in_a_thread,
)
from tests.conformance.api import Api, Object, eventually
from tests.conformance.cluster import Cluster
from tests.conformance.rows import row

SERVICE = "sample-api"


@pytest.fixture
def sample(cluster: Cluster, tmp_path: Path) -> Iterator[Extension]:
    """The extension server and the Service that leads to it."""
    api = cluster.api
    with own_address() as address:
        server = extension(tmp_path, address, cluster.layout.pki / "front-proxy-ca.crt", service=SERVICE)
        with serving_in_a_thread(server):
            made = service_and_slice(server, name=SERVICE)
            for path, obj in made:
                api.create(path, obj)
            try:
                yield server
            finally:
                for path, obj in made:
                    api.call("DELETE", f"{path}/{obj['metadata']['name']}")


def condition(obj: Object) -> Object:
    found = [one for one in obj.get("status", {}).get("conditions", []) if one["type"] == "Available"]
    return found[0] if found else {}


@row(30, "aggregator-supports-the-sample-apiserver")
def test_an_extension_server_is_registered_used_and_removed(
    cluster: Cluster, api: Api, sample: Extension, namespace: str, unique: str
) -> None:
    obj = apiservice(sample, service=SERVICE)
    obj["metadata"]["labels"] = {"e2e": unique}
    api.create(APISERVICES, obj)
    path = f"{APISERVICES}/{NAME}"
    try:
        eventually(lambda: condition(api.get(path)).get("status") == "True", "the APIService is available")
        uses(api, cluster, namespace)
        manages(api, path, unique)
    finally:
        api.delete(APISERVICES, labelSelector=f"e2e={unique}")
    api.gone(path)
    eventually(lambda: api.call("GET", BASE).status == 404, "the group is served no longer")
    groups = api.get("/apis")["groups"]
    assert GROUP not in {group["name"] for group in groups}
    assert any(group["name"] == "apps" for group in groups), "control"


def uses(api: Api, cluster: Cluster, namespace: str) -> None:
    """Objects of the extension, and discovery."""
    flunders = f"{BASE}/namespaces/{namespace}/flunders"
    flunder = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Flunder", "metadata": {"name": "rest-flunder"}}
    api.create(flunders, flunder)
    assert [one["metadata"]["name"] for one in api.items(flunders)] == ["rest-flunder"]
    with api.watch(flunders) as watch:
        assert watch.next()[1]["metadata"]["name"] == "rest-flunder"
        api.create(flunders, {**flunder, "metadata": {"name": "dynamic-flunder"}})
        assert watch.next()[1]["metadata"]["name"] == "dynamic-flunder"
    api.delete(f"{flunders}/rest-flunder")
    assert api.find(f"{flunders}/rest-flunder") is None
    eventually(lambda: "flunders" in cluster.kubectl("api-resources", "--api-group", GROUP), "kubectl finds it")
    out = cluster.kubectl("get", "flunders", "-n", namespace, "-o", "name")
    assert out.split() == [f"flunder.{GROUP}/dynamic-flunder"]
    api.delete(flunders)
    assert api.items(flunders) == []


def manages(api: Api, path: str, unique: str) -> None:
    """The APIService itself: list, status, patch, update."""
    assert [one["metadata"]["name"] for one in api.items(APISERVICES, f"e2e={unique}")] == [NAME]
    assert condition(api.get(f"{path}/status"))["reason"] == "Passed"
    patched = api.patch(path, {"spec": {"versionPriority": 400}})
    assert patched["spec"]["versionPriority"] == 400

    def mark(obj: Object) -> None:
        obj["status"]["conditions"].append({"type": "StatusUpdated", "status": "True", "reason": "E2E"})

    def write_status() -> bool:
        obj = api.get(path)
        mark(obj)
        return api.call("PUT", f"{path}/status", obj).status == 200

    eventually(write_status, "the status is written")
    kept = api.get(path)["status"]["conditions"]
    assert {one["type"] for one in kept} == {"Available", "StatusUpdated"}
