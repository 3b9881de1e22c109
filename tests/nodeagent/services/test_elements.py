"""What Services contribute to the table, how the table's changes follow, and which UDP flows are stale: pure tables."""

from __future__ import annotations

from typing import Any

import pytest

from nodeagent.services.conntrack import Flow, stale
from nodeagent.services.elements import Contribution, Element, Pick, contribution, place
from nodeagent.services.endpoints import Candidate, NodeFacts, choose, is_reachable
from nodeagent.services.healthcheck import Health, answer
from nodeagent.services.ledger import Ledger
from nodeagent.services.ruleset import TableConfig, pick_rules, rebuild, update
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice

FACTS = NodeFacts("n1", "z1")
VIP = "10.96.0.9"
ENTRANCE = f"ip vips {VIP} . tcp . 80"


def service(**spec: Any) -> Service:
    whole = {"clusterIP": VIP, "clusterIPs": [VIP], "type": "ClusterIP", "ports": [{"port": 80}], **spec}
    return Service.model_validate({"metadata": {"name": "s", "namespace": "d"}, "spec": whole})


def slice_of(*addresses: str, family: str = "IPv4", port: int = 8080, **endpoint: Any) -> EndpointSlice:
    endpoints = [{"addresses": [one], "conditions": {"ready": True}, "nodeName": "n1", **endpoint} for one in addresses]
    wire = {"addressType": family, "endpoints": endpoints, "ports": [{"name": "", "protocol": "TCP", "port": port}]}
    return EndpointSlice.model_validate({"metadata": {"name": "s-1", "namespace": "d"}, **wire})


def texts(found: Contribution) -> dict[str, str]:
    return {f"{one.family} {one.container} {one.key}": value for one, value in found.elements.items()}


def test_a_cluster_ip_is_one_entrance_and_a_slot_per_endpoint() -> None:
    assert texts(contribution(service(), [slice_of("10.1.0.1", "10.1.0.2")], FACTS)) == {
        f"ip cluster-ips {VIP}": "",
        "ip hairpin 10.1.0.1 . 10.1.0.1": "",
        "ip hairpin 10.1.0.2 . 10.1.0.2": "",
        f"ip tcp-endpoints {VIP} . tcp . 80 . 0": "10.1.0.1 . 8080",
        f"ip tcp-endpoints {VIP} . tcp . 80 . 1": "10.1.0.2 . 8080",
        f"ip vips {VIP} . tcp . 80": "goto cluster-any-tcp-2-0",
    }


@pytest.mark.parametrize(
    ("spec", "slices", "expected"),
    [
        ({}, [], {f"ip refused {VIP} . tcp . 80": "goto refuse"}),
        ({"internalTrafficPolicy": "Local"}, [("n2",)], {f"ip refused {VIP} . tcp . 80": "drop"}),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001}], "externalTrafficPolicy": "Local"},
            [("n1", "n2")],
            {"ip nodeports tcp . 30001": "goto nodelocal-any-tcp-1-2", ENTRANCE: "goto cluster-any-tcp-2-0"},
        ),
        ({"clusterIP": "None", "clusterIPs": ["None"]}, [("n1",)], {}),
        ({"type": "ExternalName", "clusterIP": "", "clusterIPs": []}, [("n1",)], {}),
        (
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}},
            [("n1",)],
            {f"ip affine {VIP} . tcp . 80": "goto remember-60", ENTRANCE: "goto cluster-sticky-tcp-1-0"},
        ),
        (
            {"clusterIP": "fd00::9", "clusterIPs": ["fd00::9", VIP], "ipFamilies": ["IPv6", "IPv4"]},
            [("n1",)],
            {"ip6 refused fd00::9 . tcp . 80": "goto refuse", f"ip vips {VIP} . tcp . 80": "goto cluster-any-tcp-1-0"},
        ),
    ],
)  # fmt: skip
def test_entrances_follow_type_and_policy(spec: Any, slices: Any, expected: dict[str, str]) -> None:
    held = [slice_of(f"10.1.0.{number}", nodeName=node) for nodes in slices for number, node in enumerate(nodes)]
    found = texts(contribution(service(**spec), held, FACTS))
    entrances = ("vips", "nodeports", "refused", "node-refused", "affine")
    chosen = {key: value for key, value in found.items() if key.split()[1] in entrances}
    assert chosen == expected


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        ((), "abc", "abc"),
        ("abc", "abc", "abc"),
        ("abc", "bc", "cb"),  # one moves, and not two
        ("abc", "axc", "axc"),
        ("abc", "c", "c"),
        ("ab", "xyab", "abxy"),
        ("abcd", "dx", "dx"),
    ],
)
def test_endpoints_that_stay_keep_their_slots(before: str, wanted: str, after: str) -> None:
    found = place(tuple(before), tuple(wanted))
    assert sorted(found) == sorted(wanted)
    kept = sum(new == old for new, old in zip(found, before, strict=False))
    assert kept == sum(new == old for new, old in zip(after, before, strict=False))


READY, GOING, DOWN = Candidate("a", 1), Candidate("b", 1, False, True, True), Candidate("c", 1, False, False, False)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([READY, GOING, DOWN], "a"),
        ([GOING, DOWN], "b"),
        ([DOWN], ""),
        ([Candidate("a", 1, for_zones=frozenset({"z1"})), Candidate("b", 1, for_zones=frozenset({"z2"}))], "a"),
        ([Candidate("a", 1, for_zones=frozenset({"z3"})), Candidate("b", 1, for_zones=frozenset({"z2"}))], "ab"),
        ([Candidate("a", 1, for_zones=frozenset({"z1"})), Candidate("b", 1)], "ab"),
        ([Candidate("a", 1, for_nodes=frozenset({"n2"})), Candidate("b", 1, for_nodes=frozenset({"n1"}))], "b"),
    ],
)
def test_ready_ones_first_then_those_that_go_and_hints_where_they_leave_somebody(
    found: list[Candidate], expected: str
) -> None:
    assert "".join(one.address for one in choose(found, FACTS).cluster) == expected


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "::1", "fe80::1", "name"])
def test_addresses_that_mean_the_node_itself_are_no_endpoints(address: str) -> None:
    assert not is_reachable(address) and is_reachable("172.16.0.1")
    family = "IPv6" if ":" in address else "IPv4"
    found = contribution(service(ipFamilies=[family]), [slice_of(address, family=family)], FACTS)
    assert not [one for one in found.elements if "endpoints" in one.container]


def test_two_services_share_an_element_until_the_last_goes() -> None:
    ledger, hairpin, vip = Ledger(), Element("ip", "hairpin", "a"), Element("ip", "vips", "x")
    ledger.set("d/b", {}, {hairpin: "", vip: "goto b"})
    assert ledger.take().add == {hairpin: "", vip: "goto b"}
    ledger.set("d/a", {}, {hairpin: "", vip: "goto a"})
    change = ledger.take()
    assert change.add == {vip: "goto a"} and change.remove == {vip: "goto b"}
    ledger.set("d/a", {hairpin: "", vip: "goto a"}, {})
    assert ledger.take().add == {vip: "goto b"}
    ledger.set("d/b", {hairpin: "", vip: "goto b"}, {})
    assert set(ledger.take().remove) == {hairpin, vip}
    assert not list(ledger.all()) and not ledger.take()


def test_a_change_touches_its_own_elements_and_makes_missing_chains_once() -> None:
    ledger, config = Ledger(), TableConfig(pods={"ip": "10.1.0.0/16"})
    first = contribution(service(), [slice_of("10.1.0.1")], FACTS)
    ledger.set("d/s", {}, first.elements)
    ledger.take()
    second = contribution(service(), [slice_of("10.1.0.1", "10.1.0.2")], FACTS, first)
    ledger.set("d/s", first.elements, second.elements)
    present = {("ip", "cluster-any-tcp-1-0")}
    lines = update(config, ledger.take(), present).splitlines()
    rules = pick_rules(Pick("cluster", False, 2), "ip", "10.1.0.0/16")
    assert lines == [
        "add chain ip tiphys-services cluster-any-tcp-2-0",
        *(f"add rule ip tiphys-services cluster-any-tcp-2-0 {rule}" for rule in rules),
        f"delete element ip tiphys-services vips {{ {VIP} . tcp . 80 }}",
        "add element ip tiphys-services hairpin { 10.1.0.2 . 10.1.0.2 }",
        f"add element ip tiphys-services tcp-endpoints {{ {VIP} . tcp . 80 . 1 : 10.1.0.2 . 8080 }}",
        f"add element ip tiphys-services vips {{ {VIP} . tcp . 80 : goto cluster-any-tcp-2-0 }}",
    ]  # fmt: skip
    assert ("ip", "cluster-any-tcp-2-0") in present


def test_only_our_own_table_is_named() -> None:
    text = rebuild(TableConfig("mine"), [(Element("ip", "vips", "1.2.3.4 . tcp . 1"), "goto refuse")])
    tables = {line.split()[3] for line in text.splitlines() if line.startswith(("add ", "delete "))}
    assert tables == {"mine"} and "flush" not in text


def test_flows_to_who_is_no_longer_behind_an_entrance_are_stale() -> None:
    good, gone = Flow(("10.96.0.10", 53), ("10.1.0.1", 53)), Flow(("10.96.0.10", 53), ("10.1.0.2", 53))
    other, node = Flow(("10.96.0.11", 53), ("10.1.0.2", 53)), Flow(("192.168.0.1", 30053), ("10.1.0.2", 53))
    entrances = {("10.96.0.10", 53): {("10.1.0.1", 53)}, ("", 30053): {("10.1.0.1", 53)}}
    assert stale([good, gone, other, node], entrances, ["192.168.0.1"]) == [gone, node]


@pytest.mark.parametrize(("count", "status"), [(2, 200), (0, 503)])
def test_a_load_balancer_hears_of_local_endpoints(count: int, status: int) -> None:
    code, body = answer(Health("d", "s", count))
    assert code == status and f'"localEndpoints": {count}'.encode() in body and b'"serviceProxyHealthy": true' in body
