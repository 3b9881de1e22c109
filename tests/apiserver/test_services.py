"""Cluster addresses and node ports through a running server."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest

from apiserver.registry.services import PORT_PREFIX, ServiceAllocator
from tests.apiserver.cluster import Cluster, running_cluster
from tiphys.clock import SystemClock

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICES = "/api/v1/namespaces/default/services"
IP_ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


async def reservations(cluster: Cluster) -> set[str]:
    page = await cluster.server.resources.store.range(PORT_PREFIX)
    addresses = await cluster.must("GET", IP_ADDRESSES)
    ports = {entry.key.rpartition("/")[2] for entry in page.entries}
    return ports | {item["metadata"]["name"] for item in addresses["items"]}


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
    assert (await cluster.request("POST", SERVICES, {"spec": {"ports": [{"port": 80}]}})).status == 422  # no name
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
        stray = await first.must("GET", f"{IP_ADDRESSES}/{made['spec']['clusterIP']}")
        stray["metadata"] = {"name": "10.96.9.9", "labels": stray["metadata"]["labels"]}
        await first.must("POST", IP_ADDRESSES, stray)
        await first.must("POST", IP_ADDRESSES, {"metadata": {"name": "10.96.9.8"}, "spec": stray["spec"]})
    async with running_cluster(tmp_path) as second:
        assert await second.must("GET", f"{SERVICES}/kept") == made
        assert "10.96.9.9" not in await reservations(second)
        assert {made["spec"]["clusterIP"], "10.96.9.8"} <= await reservations(second)  # the latter is not ours


async def test_an_address_is_an_object_that_names_its_service(cluster: Cluster) -> None:
    made = await cluster.must("POST", SERVICES, service("named"))
    found = await cluster.must("GET", f"{IP_ADDRESSES}/{made['spec']['clusterIP']}")
    assert found["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "named"}
    assert found["metadata"]["labels"]["ipaddress.kubernetes.io/managed-by"] == "ipallocator.k8s.io"
    claimed = {"metadata": {"name": "10.96.0.77"}, "spec": found["spec"]}
    await cluster.must("POST", IP_ADDRESSES, claimed)
    taken = await cluster.request("POST", SERVICES, service("late", clusterIP="10.96.0.77"))
    assert taken.status == 422 and "provided IP is already allocated" in taken.json["message"]


async def test_the_range_is_an_object_and_further_ones_give_addresses(cluster: Cluster) -> None:
    ranges = "/apis/networking.k8s.io/v1/servicecidrs"
    own = await cluster.must("GET", f"{ranges}/kubernetes")
    assert own["spec"]["cidrs"] == ["10.96.0.0/16"] and own["status"]["conditions"][0]["status"] == "True"
    outside = service("further", clusterIP="10.150.0.9")
    assert (await cluster.request("POST", SERVICES, outside)).status == 422
    await cluster.must("POST", ranges, {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.150.0.0/24"]}})
    await cluster.must("POST", SERVICES, outside)


async def test_a_type_change_to_a_name_frees_the_address_and_back_takes_one(cluster: Cluster) -> None:
    merge = "application/merge-patch+json"
    made = await cluster.must("POST", SERVICES, service("turned", type="NodePort"))
    address, port = made["spec"]["clusterIP"], str(made["spec"]["ports"][0]["nodePort"])
    patch = {"spec": {"type": "ExternalName", "externalName": "example.com", "clusterIP": "", "clusterIPs": None}}
    named = await cluster.must("PATCH", f"{SERVICES}/turned", patch, content_type=merge)
    assert "clusterIP" not in named["spec"] and "nodePort" not in named["spec"]["ports"][0]
    assert not {address, port} & await reservations(cluster)
    patch = {"spec": {"type": "ClusterIP", "externalName": ""}}
    back = await cluster.must("PATCH", f"{SERVICES}/turned", patch, content_type=merge)
    assert back["spec"]["clusterIP"] in await reservations(cluster)


async def test_a_health_check_port_comes_and_goes_with_the_policy(cluster: Cluster) -> None:
    merge = "application/merge-patch+json"
    local = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    made = await cluster.must("POST", SERVICES, service("checked", **local))
    port = made["spec"]["healthCheckNodePort"]
    assert 30000 <= port <= 32767 and str(port) in await reservations(cluster)
    taken = await cluster.request("POST", SERVICES, service("second", healthCheckNodePort=port, **local))
    assert taken.status == 422
    patch = {"spec": {"externalTrafficPolicy": "Cluster"}}
    changed = await cluster.must("PATCH", f"{SERVICES}/checked", patch, content_type=merge)
    assert "healthCheckNodePort" not in changed["spec"] and str(port) not in await reservations(cluster)


async def test_external_addresses_are_refused(cluster: Cluster) -> None:
    """G20: CVE-2020-8554.  That the address would work where the option allows it: tests/nodeagent/services."""
    answer = await cluster.request("POST", SERVICES, service("greedy", externalIPs=["203.0.113.9"]))
    assert answer.status == 403
    assert 'services "greedy" is forbidden: Use of external IPs is denied by admission control.' in str(answer.json)
    await cluster.must("POST", SERVICES, service("modest"))
    patch = {"spec": {"externalIPs": ["203.0.113.9"]}}
    merge = "application/merge-patch+json"
    assert (await cluster.request("PATCH", f"{SERVICES}/modest", patch, content_type=merge)).status == 403


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.1.1", "::1", "224.0.0.1"])
async def test_endpoints_that_mean_the_node_itself_are_refused(cluster: Cluster, address: str) -> None:
    """G21: CVE-2021-25737.  The same slice with a pod's address is accepted."""
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    family = "IPv6" if ":" in address else "IPv4"

    def slice_of(one: str) -> dict[str, Any]:
        return {"metadata": {"generateName": "g21-"}, "addressType": family, "endpoints": [{"addresses": [one]}]}

    assert (await cluster.request("POST", path, slice_of(address))).status == 422
    await cluster.must("POST", path, slice_of("2001:db8::1" if family == "IPv6" else "10.244.0.9"))


async def test_what_is_claimed_meanwhile_is_not_taken_away(cluster: Cluster) -> None:
    """As a second server starts, the first has reserved what it is about to store."""
    resources = cluster.server.resources
    services = resources.named("", "services")
    assert services is not None
    allocator = ServiceAllocator(resources.store, ipaddress.ip_network("10.96.0.0/16"))
    allocator.bind(resources, SystemClock())
    made = await cluster.must("POST", SERVICES, service("late", type="NodePort"))
    mine = {made["spec"]["clusterIP"], str(made["spec"]["ports"][0]["nodePort"])}
    others = [one for one in services.peek_all() if one["metadata"]["name"] != "late"]
    unclaimed = await allocator.claim(others)
    assert {one.rpartition("/")[2] for one in unclaimed} == mine
    await allocator.remove(unclaimed, services.peek_all())
    assert mine <= await reservations(cluster)
    await allocator.remove(unclaimed, others)
    assert not mine & await reservations(cluster)
