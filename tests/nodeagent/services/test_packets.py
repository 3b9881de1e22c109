"""Real packets: from pods, from the node and from outside, through Services to pods."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from nodeagent.services import nftables
from nodeagent.services.elements import contribution
from nodeagent.services.endpoints import NodeFacts
from nodeagent.services.ledger import Change
from nodeagent.services.ruleset import update
from tests.nodeagent.services.world import NODE_ADDRESS, OUTSIDE_ADDRESS, World, eventually, inside, ip, nft

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_cluster_ip_spreads_connections_and_keeps_the_client_address(world: World) -> None:
    service = await world.service("spread", "a b")
    found = await world.pods["c"].names(service.spec.clusterIP, 80, 60)
    assert set(found) == {"a", "b"} and min(found.values()) > 10
    assert (await world.pods["c"].ask(service.spec.clusterIP, 80)).split()[1] == world.pods["c"].address
    assert set(await world.node.names(service.spec.clusterIP, 80)) == {"a", "b"}


async def test_a_pod_reaches_itself_through_its_service(world: World) -> None:
    service = await world.service("hairpin", "a")
    assert (await world.pods["a"].ask(service.spec.clusterIP, 80)).startswith("a ")


async def test_a_change_of_endpoints_moves_connections(world: World) -> None:
    service = await world.service("moving", "a b")
    await world.endpoints("moving", "c")
    assert set(await world.pods["b"].names(service.spec.clusterIP, 80)) == {"c"}
    await world.endpoints("moving", "c a b")
    assert set(await world.pods["b"].names(service.spec.clusterIP, 80, 40)) == {"a", "b", "c"}


async def test_a_service_without_endpoints_refuses_at_once(world: World) -> None:
    service = await world.service("empty", "")
    assert await world.pods["a"].ask(service.spec.clusterIP, 80) == "refused"
    assert await world.node.ask(service.spec.clusterIP, 80) == "refused"
    assert await world.pods["a"].ask(service.spec.clusterIP, 81) == "refused"  # no port of it
    await world.endpoints("empty", "b")
    assert (await world.pods["a"].ask(service.spec.clusterIP, 80)).startswith("b ")
    await world.cluster.must("DELETE", "/api/v1/namespaces/default/services/empty")


async def test_a_node_port_answers_outside_and_hides_the_client(world: World) -> None:
    service = await world.service("nodeport", "a b", type="NodePort")
    port = service.spec.ports[0].nodePort
    assert set(await world.outside.names(NODE_ADDRESS, port)) == {"a", "b"}
    gateway = str(world.network.gateway.ip)
    assert (await world.outside.ask(NODE_ADDRESS, port)).split()[1] == gateway
    assert set(await world.pods["c"].names(NODE_ADDRESS, port)) == {"a", "b"}
    assert set(await world.pods["a"].names(NODE_ADDRESS, port)) == {"a", "b"}
    assert set(await world.node.names(NODE_ADDRESS, port)) == {"a", "b"}
    assert await world.node.ask("127.0.0.1", port) == "refused"
    await world.patch("nodeport", {"spec": {"type": "ClusterIP"}})
    assert await world.outside.ask(NODE_ADDRESS, port) == "refused"


async def test_external_policy_local_keeps_the_client_and_stays_on_the_node(world: World) -> None:
    service = await world.service("local", "a b@n2", type="NodePort", externalTrafficPolicy="Local")
    port = service.spec.ports[0].nodePort
    assert set(await world.outside.names(NODE_ADDRESS, port)) == {"a"}
    assert (await world.outside.ask(NODE_ADDRESS, port)).split()[1] == OUTSIDE_ADDRESS
    assert set(await world.pods["c"].names(NODE_ADDRESS, port)) == {"a", "b"}  # inside of the cluster
    await world.endpoints("local", "b@n2")
    assert await world.outside.ask(NODE_ADDRESS, port, 0.5) == "silence"
    assert set(await world.pods["c"].names(NODE_ADDRESS, port)) == {"b"}


async def test_internal_policy_local_uses_this_nodes_endpoints_only(world: World) -> None:
    service = await world.service("inner", "a b@n2", internalTrafficPolicy="Local")
    assert set(await world.pods["c"].names(service.spec.clusterIP, 80)) == {"a"}
    await world.endpoints("inner", "b@n2")
    assert await world.pods["c"].ask(service.spec.clusterIP, 80, 0.5) == "silence"


async def test_terminating_endpoints_serve_when_there_are_no_others(world: World) -> None:
    service = await world.service("going", "a! b")
    assert set(await world.pods["c"].names(service.spec.clusterIP, 80)) == {"b"}
    await world.endpoints("going", "a!")
    assert set(await world.pods["c"].names(service.spec.clusterIP, 80)) == {"a"}


async def test_clients_stay_with_their_endpoint_while_it_lives(world: World) -> None:
    service = await world.service("sticky", "a b c", sessionAffinity="ClientIP", type="NodePort")
    client = world.pods["a"]
    first = await client.names(service.spec.clusterIP, 80, 20)
    assert len(first) == 1
    await eventually(lambda: _differs(world, service.spec.clusterIP, set(first)), "clients differ", 5)
    port = service.spec.ports[0].nodePort
    assert len(await world.outside.names(NODE_ADDRESS, port, 20)) == 1
    (kept,) = first
    await world.endpoints("sticky", " ".join({"a", "b", "c"} - {kept}))
    second = await client.names(service.spec.clusterIP, 80, 20)
    assert len(second) == 1 and set(second) != set(first)
    await world.patch("sticky", {"spec": {"sessionAffinity": "None"}})
    assert len(await client.names(service.spec.clusterIP, 80, 40)) == 2


async def _differs(world: World, address: str, first: set[str]) -> bool:
    """Among four clients, two went elsewhere or all to one: asked afresh, chance cannot stay against us."""
    before = world.proxy.counters.rebuilds
    nft(f"flush map ip {world.table.name} affinity")

    async def rebuilt() -> bool:
        await world.proxy.settled()
        return world.proxy.counters.rebuilds > before

    await eventually(rebuilt, "the table is made anew")
    found = set()
    for host in (*world.pods.values(), world.node):
        found |= set(await host.names(address, 80, 1))
    return len(found) > 1


async def test_affinity_ends_with_its_time(world: World) -> None:
    config = {"clientIP": {"timeoutSeconds": 1}}
    service = await world.service("brief", "a b", sessionAffinity="ClientIP", sessionAffinityConfig=config)

    async def changed() -> bool:
        before = await world.pods["c"].names(service.spec.clusterIP, 80, 3)
        await asyncio.sleep(1.2)
        return set(await world.pods["c"].names(service.spec.clusterIP, 80, 3)) != set(before)

    assert len(await world.pods["c"].names(service.spec.clusterIP, 80, 10)) == 1
    await eventually(changed, "another endpoint after the time is over")


async def test_udp_flows_follow_their_service(world: World) -> None:
    ports = [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 8080}]
    service = await world.service("udp", "a", ports=ports)
    client = world.pods["c"].datagrams()
    assert (await client.ask(service.spec.clusterIP, 53)).startswith("a ")
    await world.endpoints("udp", "b", ports)  # the client keeps its source port, and with it the kernel's entry
    assert (await client.ask(service.spec.clusterIP, 53)).startswith("b ")
    await world.endpoints("udp", "", ports)
    assert not (await client.ask(service.spec.clusterIP, 53)).startswith("b ")
    client.close()
    assert world.proxy.counters.flows_ended >= 2


async def test_a_load_balancers_address_and_its_source_ranges(world: World) -> None:
    service = await world.service("balanced", "a", type="LoadBalancer", ports=[{"name": "http", "port": 9080}])
    assert await world.outside.ask(NODE_ADDRESS, 9080) == "refused"
    status = {"status": {"loadBalancer": {"ingress": [{"ip": NODE_ADDRESS}]}}}
    await world.endpoints("balanced", "a", [{"name": "http", "targetPort": 8080}])
    await world.patch("balanced", status, "/status")
    assert (await world.outside.ask(NODE_ADDRESS, 9080)).startswith("a ")
    await world.patch("balanced", {"spec": {"loadBalancerSourceRanges": ["10.0.0.0/8", "10.1.0.0/16"]}})
    assert await world.outside.ask(NODE_ADDRESS, 9080, 0.5) == "silence"
    assert (await world.pods["c"].ask(NODE_ADDRESS, 9080)).startswith("a ")
    await world.patch("balanced", {"spec": {"loadBalancerSourceRanges": [f"{OUTSIDE_ADDRESS}/32"]}})
    assert (await world.outside.ask(NODE_ADDRESS, 9080)).startswith("a ")
    assert service.spec.ports[0].nodePort


async def test_flushed_rules_come_back_and_clients_still_stay(world: World) -> None:
    service = await world.service("repaired", "a b")
    nft("add table ip theirs; add chain ip theirs c; add rule ip theirs c ip saddr 1.2.3.4 drop")
    theirs, before = nft("list table ip theirs"), world.proxy.counters.rebuilds
    for damage in (
        f"flush table ip {world.table.name}",
        f"delete table ip {world.table.name}",
        f"flush map ip {world.table.name} vips",
        f"add rule ip {world.table.name} dispatch drop",
    ):
        nft(damage)
        probe = partial(_repaired, world, service.spec.clusterIP, before)
        await eventually(probe, f"repair of: {damage}", 5)
        before = world.proxy.counters.rebuilds
    assert nft("list table ip theirs") == theirs
    rebuilds = world.proxy.counters.rebuilds
    nft("add rule ip theirs c ip saddr 1.2.3.5 drop")  # not ours: no reason to do anything
    await world.endpoints("repaired", "a")
    assert world.proxy.counters.rebuilds == rebuilds
    nft("delete table ip theirs")


async def _repaired(world: World, address: str, rebuilds: int) -> bool:
    await world.proxy.settled()
    if world.proxy.counters.rebuilds == rebuilds:
        return False
    return await world.pods["c"].ask(address, 80, 0.3) in [f"{one} {world.pods['c'].address}" for one in "ab"]


async def test_a_restart_of_the_proxy_interrupts_nothing_and_forgets_no_client(world: World) -> None:
    service = await world.service("restarted", "a b c", sessionAffinity="ClientIP")
    first = await world.pods["a"].names(service.spec.clusterIP, 80, 5)
    await world.proxy.stop()
    assert await world.pods["a"].names(service.spec.clusterIP, 80, 5) == first
    await world.start_proxy()
    assert await world.pods["a"].names(service.spec.clusterIP, 80, 20) == dict.fromkeys(first, 20)


async def test_sctp_is_refused_with_an_event(world: World) -> None:
    ports = [{"name": "s", "port": 80, "protocol": "SCTP"}, {"name": "http", "port": 80, "targetPort": 8080}]
    service = await world.service("mixed", "a", ports=ports)
    assert (await world.pods["c"].ask(service.spec.clusterIP, 80)).startswith("a ")
    assert "mixed ProtocolNotSupported not forwarded, SCTP is not supported: 80/SCTP" in world.reports


async def test_a_health_check_port_tells_of_local_endpoints(world: World) -> None:
    local = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    service = await world.service("checked", "a", **local)
    port = service.spec.healthCheckNodePort
    status, document, weight = await health(port)
    assert (status, document["localEndpoints"], weight) == (200, 1, "1")
    assert document["service"] == {"namespace": "default", "name": "checked"}
    await world.endpoints("checked", "b@n2")
    assert (await health(port))[:2] == (503, document | {"localEndpoints": 0})
    await world.cluster.must("DELETE", "/api/v1/namespaces/default/services/checked")

    async def is_closed() -> bool:
        return await world.node.ask(NODE_ADDRESS, port) == "refused"

    await eventually(is_closed, "the port is closed")


async def health(port: int) -> tuple[int, dict[str, Any], str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{NODE_ADDRESS}:{port}/healthz") as answer:
        return answer.status, await answer.json(), answer.headers["X-Load-Balancing-Endpoint-Weight"]


async def test_a_neighbour_does_not_reach_the_nodes_loopback(world: World) -> None:
    """J1, CVE-2020-8558: what listens on 127.0.0.1 only; the same port on the node's address answers."""
    inside(world.outside.netns, lambda: ip("route", "add", "127.0.0.77/32", "via", NODE_ADDRESS, "table", "77"))
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.77", 7777)
    everywhere = await asyncio.start_server(lambda r, w: w.close(), NODE_ADDRESS, 7777)
    assert await world.outside.ask(NODE_ADDRESS, 7777) == ""
    inside(world.outside.netns, lambda: ip("rule", "add", "to", "127.0.0.77", "lookup", "77", "priority", "1"))
    assert await world.outside.ask("127.0.0.77", 7777, 0.5) in ("silence", "unreachable", "refused")
    for name in ("all", "uplink", "testbr0"):
        assert Path(f"/proc/sys/net/ipv4/conf/{name}/route_localnet").read_text().strip() == "0"
    server.close()
    everywhere.close()


async def test_an_external_address_works_where_the_server_allows_it(world: World) -> None:
    """The positive control of G20: without the refusal, traffic of that address goes to the claimant's pods."""
    stolen = "203.0.113.9"
    service = await world.service("claimant", "a")
    assert await world.pods["b"].ask(stolen, 80, 0.3) in ("silence", "unreachable")
    claimed = service.model_copy(update={"spec": service.spec.model_copy(update={"externalIPs": [stolen]})})
    found = contribution(claimed, world.slices.by_index("service", "default/claimant"), NodeFacts("n1"))
    change = Change(add={one: value for one, value in found.elements.items() if stolen in one.key})
    nftables.apply(update(world.table, change, set()))
    assert (await world.pods["b"].ask(stolen, 80)).startswith("a ")
