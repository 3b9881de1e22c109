"""Cluster addresses and node ports through a running server."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest

from apiserver.registry.services import IP_PREFIX, PORT_PREFIX
from tests.apiserver.cluster import Cluster, running_cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICES = "/api/v1/namespaces/default/services"


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


async def reservations(cluster: Cluster) -> set[str]:
    store = cluster.server.resources.store
    pages = [await store.range(prefix) for prefix in (IP_PREFIX, PORT_PREFIX)]
    return {entry.key.rpartition("/")[2] for page in pages for entry in page.entries}


async def test_an_address_is_given_kept_and_given_back(cluster: Cluster) -> None:
    made = await cluster.must("POST", SERVICES, service("one"))
    address = made["spec"]["clusterIP"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network("10.96.0.0/16")
    assert made["spec"]["clusterIPs"] == [address] and made["spec"]["ipFamilies"] == ["IPv4"]
    assert address in await reservations(cluster)
    taken = await cluster.request("POST", SERVICES, service("two", clusterIP=address))
    assert taken.status == 422 and "provided IP is already allocated" in taken.json["message"]
    put = {**made, "spec": {"ports": made["spec"]["ports"], "selector": {"a": "b"}}}
    kept = await cluster.must("PUT", f"{SERVICES}/one", put)
    assert kept["spec"]["clusterIP"] == address
    await cluster.must("DELETE", f"{SERVICES}/one")
    assert address not in await reservations(cluster)
    again = await cluster.must("POST", SERVICES, service("two", clusterIP=address))
    assert again["spec"]["clusterIP"] == address


async def test_a_refused_service_and_a_dry_run_keep_no_address(cluster: Cluster) -> None:
    before = await reservations(cluster)
    assert (await cluster.request("POST", SERVICES, service("bad", ports=[]))).status == 422
    assert (await cluster.request("POST", SERVICES, service("kubernetes"))).status == 409
    shown = await cluster.must("POST", SERVICES + "?dryRun=All", service("dry", type="NodePort"))
    assert shown["spec"]["ports"][0]["nodePort"]
    outside = await cluster.request("POST", SERVICES, service("far", clusterIP="9.9.9.9"))
    assert "The range of valid IPs is 10.96.0.0/16" in outside.json["message"]
    assert await reservations(cluster) == before


async def test_node_ports_follow_the_type(cluster: Cluster) -> None:
    made = await cluster.must("POST", SERVICES, service("ports", type="NodePort"))
    port = made["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767 and str(port) in await reservations(cluster)
    taken = await cluster.request(
        "POST", SERVICES, service("other", type="NodePort", ports=[{"port": 80, "nodePort": port}])
    )
    assert taken.status == 422 and "provided port is already allocated" in taken.json["message"]
    put = {**made, "spec": {"type": "NodePort", "ports": [{"port": 80}], "selector": {"a": "b"}}}
    kept = await cluster.must("PUT", f"{SERVICES}/ports", put)
    assert kept["spec"]["ports"][0]["nodePort"] == port
    plain = {"spec": {"type": "ClusterIP"}}
    merge = "application/merge-patch+json"
    changed = await cluster.must("PATCH", f"{SERVICES}/ports", plain, content_type=merge)
    assert "nodePort" not in changed["spec"]["ports"][0]
    assert str(port) not in await reservations(cluster)


async def test_a_headless_service_has_no_address(cluster: Cluster) -> None:
    made = await cluster.must("POST", SERVICES, service("headless", clusterIP="None"))
    assert made["spec"]["clusterIP"] == "None" and made["spec"]["clusterIPs"] == ["None"]


async def test_the_first_address_belongs_to_the_server_itself(cluster: Cluster) -> None:
    own = await cluster.must("GET", f"{SERVICES}/kubernetes")
    assert own["spec"]["clusterIP"] == "10.96.0.1"
    assert own["spec"]["ports"][0]["targetPort"] == cluster.server.port


async def test_a_restart_keeps_objects_and_forgets_stray_reservations(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as first:
        made = await first.must("POST", SERVICES, service("kept"))
        await first.server.resources.store.create(f"{IP_PREFIX}10.96.9.9", b"{}")
    async with running_cluster(tmp_path) as second:
        assert await second.must("GET", f"{SERVICES}/kept") == made
        assert "10.96.9.9" not in await reservations(second)
        assert made["spec"]["clusterIP"] in await reservations(second)
