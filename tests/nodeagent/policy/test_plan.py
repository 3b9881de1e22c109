"""Who may talk to whom, for each kind of policy; and what a change costs."""

from __future__ import annotations

from typing import Any

import pytest

from nodeagent.policy.plan import Ruleset, plan
from nodeagent.policy.selection import facts_of
from nodeagent.policy.transaction import rebuild, update
from tests.nodeagent.policy.policy_objects import cluster_of, packets, pod, policy
from tiphys.api.core.pod import Pod

WEB = pod("web", "10.244.0.2", ports=[("http", 8080)])
DB = pod("db", "10.244.0.3", ports=[("http", 9090)])
BANK = pod("till", "10.244.1.4", "bank")
OUTSIDE = "198.51.100.7"
ADDRESSES = {"web": "10.244.0.2", "db": "10.244.0.3", "till": "10.244.1.4", "out": OUTSIDE}
WEB_ONLY = {"matchLabels": {"app": "web"}}
DB_ONLY = {"matchLabels": {"app": "db"}}
ALL = {(a, b) for a in ADDRESSES for b in ADDRESSES if a != b}


def allowed(policies: list[Any], port: int = 80, protocol: str = "tcp") -> set[tuple[str, str]]:
    net = packets(policies, WEB, DB, BANK)
    return {(a, b) for a, b in ALL if net.passes(ADDRESSES[a], ADDRESSES[b], port, protocol)}


def into(*names: str) -> set[tuple[str, str]]:
    return {(a, b) for a, b in ALL if b in names}


def out_of(*names: str) -> set[tuple[str, str]]:
    return {(a, b) for a, b in ALL if a in names}


def test_without_policies_everybody_may_and_nothing_is_programmed() -> None:
    assert allowed([]) == ALL
    assert plan([], cluster_of(WEB), [WEB]) == Ruleset()


@pytest.mark.parametrize(
    ("spec", "forbidden"),
    [
        ({"policyTypes": ["Ingress"]}, into("web", "db")),
        ({"policyTypes": ["Egress"]}, out_of("web", "db")),
        ({"policyTypes": ["Ingress", "Egress"]}, into("web", "db") | out_of("web", "db")),
        ({"policyTypes": ["Ingress"], "ingress": [{}]}, set()),
        ({"podSelector": DB_ONLY, "policyTypes": ["Ingress"]}, into("db")),
        ({"podSelector": DB_ONLY, "ingress": [{"from": [{"podSelector": WEB_ONLY}]}]}, into("db") - {("web", "db")}),
        (
            {"podSelector": DB_ONLY, "ingress": [{"from": [{"namespaceSelector": {}}]}]},
            {("out", "db")},
        ),
        (
            {
                "podSelector": DB_ONLY,
                "ingress": [
                    {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "bank"}}}]}
                ],
            },
            into("db") - {("till", "db")},
        ),
        (  # both of one peer: and; of two peers: or
            {
                "podSelector": DB_ONLY,
                "ingress": [{"from": [{"namespaceSelector": {}, "podSelector": WEB_ONLY}]}],
            },
            into("db") - {("web", "db")},
        ),
        (
            {
                "podSelector": DB_ONLY,
                "ingress": [{"from": [{"podSelector": WEB_ONLY}, {"ipBlock": {"cidr": "198.51.100.0/24"}}]}],
            },
            {("till", "db")},
        ),
        (
            {
                "podSelector": DB_ONLY,
                "ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.244.0.0/24"]}}]}],
            },
            {("web", "db")},
        ),
        (
            {"podSelector": WEB_ONLY, "policyTypes": ["Egress"], "egress": [{"to": [{"podSelector": DB_ONLY}]}]},
            out_of("web") - {("web", "db")},
        ),
        (
            {
                "podSelector": WEB_ONLY,
                "policyTypes": ["Egress"],
                "egress": [{"to": [{"ipBlock": {"cidr": "198.51.0.0/16"}}]}],
            },
            out_of("web") - {("web", "out")},
        ),
    ],
)
def test_a_policy_forbids_what_it_does_not_allow(spec: dict[str, Any], forbidden: set[tuple[str, str]]) -> None:
    assert allowed([policy(**spec)]) == ALL - forbidden


def test_policies_add_up() -> None:
    deny = policy("deny", policyTypes=["Ingress", "Egress"])
    to_db = policy("to-db", podSelector=WEB_ONLY, policyTypes=["Egress"], egress=[{"to": [{"podSelector": DB_ONLY}]}])
    from_web = policy("from-web", podSelector=DB_ONLY, ingress=[{"from": [{"podSelector": WEB_ONLY}]}])
    untouched = ALL - into("web", "db") - out_of("web", "db")
    assert allowed([deny, to_db]) == untouched  # both ends must allow
    assert allowed([deny, to_db, from_web]) == untouched | {("web", "db")}


@pytest.mark.parametrize(
    ("ports", "port", "protocol", "passes"),
    [
        ([{"port": 80}], 80, "tcp", True),
        ([{"port": 80}], 81, "tcp", False),
        ([{"port": 80}], 80, "udp", False),
        ([{"port": 53, "protocol": "UDP"}], 53, "udp", True),
        ([{"protocol": "UDP"}], 1234, "udp", True),
        ([{"protocol": "UDP"}], 1234, "tcp", False),
        ([{"port": 8000, "endPort": 8100}], 8100, "tcp", True),
        ([{"port": 8000, "endPort": 8100}], 8101, "tcp", False),
        ([{"port": 8000, "endPort": 8100}, {"port": 8050}, {"port": 80}], 80, "tcp", True),
        ([{"port": "http"}], 9090, "tcp", True),
        ([{"port": "http"}], 8080, "tcp", False),
        ([{"port": "unknown"}], 80, "tcp", False),
    ],
)
def test_ports_are_numbers_ranges_and_names(ports: list[Any], port: int, protocol: str, passes: bool) -> None:
    incoming = policy(podSelector=DB_ONLY, ingress=[{"ports": ports}])
    outgoing = policy(
        policyTypes=["Egress"], podSelector=WEB_ONLY, egress=[{"ports": ports, "to": [{"podSelector": {}}]}]
    )
    for one in (incoming, outgoing):
        assert (("web", "db") in allowed([one], port, protocol)) == passes, one


def test_a_named_port_is_each_receivers_own() -> None:
    outgoing = policy(policyTypes=["Egress"], egress=[{"ports": [{"port": "http"}]}])
    assert ("web", "db") in allowed([outgoing], 9090)
    assert ("db", "web") in allowed([outgoing], 8080)
    assert ("web", "db") not in allowed([outgoing], 8080)


def test_a_pod_reaches_itself_whatever_its_policies_say() -> None:
    net = packets([policy(policyTypes=["Ingress", "Egress"])], WEB, DB)
    assert net.passes("10.244.0.2", "10.244.0.2")
    assert not net.passes("10.244.0.2", "10.244.0.3")


def test_the_second_family_has_rules_of_its_own() -> None:
    one, two = pod("a", "fd00::2"), pod("b", "fd00::3")
    deny = policy(policyTypes=["Ingress"])
    assert not packets([deny], one, two).passes("fd00::2", "fd00::3")
    allow = policy(
        "more", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "a"}}}], "ports": [{"port": 80}]}]
    )
    net = packets([deny, allow], one, two)
    assert net.passes("fd00::2", "fd00::3")
    assert not net.passes("fd00::2", "fd00::3", 81)


def test_another_node_s_pods_are_peers_without_rules_here() -> None:
    deny = policy(podSelector={}, ingress=[{"from": [{"podSelector": WEB_ONLY}]}])
    found = plan([deny], cluster_of(WEB, DB, BANK), [DB])
    assert set(found.pods["ingress-4"]) == {"10.244.0.3"}
    assert frozenset({"10.244.0.2"}) in found.sets.values()


@pytest.mark.parametrize(
    "change", [{"spec": {"hostNetwork": True}}, {"status": {"phase": "Succeeded"}}, {"status": {"phase": "Failed"}}]
)
def test_pods_without_an_address_of_their_own_are_not_seen(change: dict[str, Any]) -> None:
    whole: dict[str, Any] = {"metadata": {"name": "a", "uid": "a"}, "status": {"podIP": "10.0.0.1"}}
    assert facts_of(Pod.model_validate(whole)) is not None
    assert facts_of(Pod.model_validate({**whole, **change})) is None


def test_a_new_peer_costs_one_element_and_no_chain() -> None:
    spec = policy(podSelector=DB_ONLY, ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}])
    before = plan([spec], cluster_of(WEB, DB), [DB])
    more = pod("web-2", "10.244.0.9", app="web")
    text = update("t", before, plan([spec], cluster_of(WEB, DB, more), [DB]))
    [line] = text.splitlines()
    assert line.startswith("add element inet t peers-4-") and line.endswith("{ 10.244.0.9 }")
    assert update("t", before, before) == ""


def test_what_a_selector_has_found_follows_pods_and_namespaces() -> None:
    spec = policy(podSelector=DB_ONLY, ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"tier": "1"}}}]}])
    cluster = cluster_of(WEB, DB)

    def peers() -> set[str]:
        return {one for elements in plan([spec], cluster, [DB]).sets.values() for one in elements}

    assert peers() == set()
    cluster.name("bank", {"tier": "1"})
    cluster.put(BANK)
    assert peers() == {"10.244.1.4"}
    cluster.put(pod("till", "10.244.1.5", "bank"))
    assert peers() == {"10.244.1.5"}
    cluster.drop("till")
    assert peers() == set()


def test_what_nobody_needs_any_more_goes_after_what_referred_to_it() -> None:
    spec = policy(podSelector=DB_ONLY, ingress=[{"from": [{"podSelector": WEB_ONLY}]}])
    before = plan([spec], cluster_of(WEB, DB), [DB])
    words = [line.split()[:2] for line in update("t", before, plan([], cluster_of(WEB, DB), [DB])).splitlines()]
    assert words == [
        ["delete", "element"],  # the pod is itself
        ["delete", "element"],  # the pod's way into its chain
        ["flush", "chain"],
        ["delete", "chain"],
        ["delete", "set"],
        ["delete", "set"],
    ]


def test_pods_alike_share_a_chain_and_a_rebuild_names_our_table_only() -> None:
    pods = [pod(f"p{number}", f"10.244.0.{number}", app="x") for number in range(2, 50)]
    found = plan([policy(policyTypes=["Ingress"])], cluster_of(*pods), pods)
    assert len(found.chains) == 1 and len(found.pods["ingress-4"]) == 48
    assert all(" inet t" in line for line in rebuild("t", found).splitlines())
