"""Discovery, OpenAPI, health and metrics."""

from __future__ import annotations

import pytest

from tests.apiserver.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


async def test_aggregated_discovery_echoes_its_form_and_can_be_revalidated(cluster: Cluster) -> None:
    for path in ("/api", "/apis"):
        answer = await cluster.request("GET", path, headers={"Accept": AGGREGATED})
        assert answer.headers["Content-Type"] == AGGREGATED.partition(",")[0]
        assert answer.json["kind"] == "APIGroupDiscoveryList"
        same = await cluster.request(
            "GET", path, headers={"Accept": AGGREGATED, "If-None-Match": answer.headers["ETag"]}
        )
        assert same.status == 304 and not same.body


async def test_legacy_discovery_lists_the_same_resources(cluster: Cluster) -> None:
    core = await cluster.must("GET", "/api/v1")
    assert core["kind"] == "APIResourceList"
    assert {"pods", "pods/log", "pods/eviction", "namespaces/finalize"} <= {one["name"] for one in core["resources"]}
    assert (await cluster.must("GET", "/api"))["versions"] == ["v1"]
    groups = await cluster.must("GET", "/apis")
    for group in groups["groups"]:
        found = await cluster.must("GET", f"/apis/{group['preferredVersion']['groupVersion']}")
        assert found["resources"]
    assert (await cluster.request("GET", "/apis/no.such.group/v1")).status == 404


async def test_openapi_documents_are_named_by_their_hash(cluster: Cluster) -> None:
    index = await cluster.must("GET", "/openapi/v3")
    url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
    document = await cluster.request("GET", url)
    assert document.headers["Cache-Control"] == "public, immutable"
    assert "io.k8s.api.apps.v1.Deployment" in document.json["components"]["schemas"]
    again = await cluster.request("GET", url, headers={"If-None-Match": document.headers["ETag"]})
    assert again.status == 304
    swagger = await cluster.must("GET", "/openapi/v2")
    assert swagger["swagger"] == "2.0" and "io.k8s.api.core.v1.Pod" in swagger["definitions"]
    assert b"#/components/schemas" not in (await cluster.request("GET", "/openapi/v2")).body


async def test_health_has_named_checks(cluster: Cluster) -> None:
    verbose = await cluster.request("GET", "/readyz?verbose")
    assert b"[+]etcd ok" in verbose.body and verbose.body.endswith(b"readyz check passed\n")
    assert (await cluster.request("GET", "/livez/ping")).body == b"ok"
    head = await cluster.request("HEAD", "/livez/ping")
    assert head.status == 200 and head.body == b""
    assert (await cluster.request("GET", "/livez/nothing")).status == 404


async def test_the_version_is_one_that_clients_accept(cluster: Cluster) -> None:
    found = await cluster.must("GET", "/version")
    assert (found["major"], found["minor"]) == ("1", "36") and found["gitVersion"].startswith("v1.36.")


async def test_metrics_carry_upstreams_names_and_labels(cluster: Cluster) -> None:
    await cluster.must("GET", "/api/v1/namespaces/default/configmaps")
    await cluster.request("GET", "/api/v1/namespaces/default/configmaps/no-such-thing")
    async with cluster.watch("/api/v1/namespaces?watch=true") as events:
        await events.next()
        text = (await cluster.request("GET", "/metrics")).body.decode()
    listed = (
        'apiserver_request_total{verb="LIST",dry_run="",group="",version="v1",resource="configmaps",subresource="",'
        'scope="namespace",component="apiserver",code="200"}'
    )
    assert listed in text
    for edge in ("1", "5", "30", "+Inf"):
        assert f'scope="namespace",component="apiserver",le="{edge}"' in text
    assert 'apiserver_longrunning_requests{verb="WATCH"' in text
    assert 'apiserver_storage_objects{resource="namespaces"}' in text
    assert 'apiserver_current_inflight_requests{request_kind="readOnly"} ' in text
    assert "process_cpu_seconds_total" in text
