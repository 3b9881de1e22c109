"""The kernel takes what we write, in a network namespace of its own, and other people's tables stay as they are."""

from __future__ import annotations

import itertools
import os
import subprocess
import threading
from collections.abc import Callable

import pytest

from nodeagent.policy.plan import Ruleset, plan
from nodeagent.policy.transaction import rebuild, remove, update
from nodeagent.runtime import syscalls
from nodeagent.services import nftables
from tests.nodeagent.policy.policy_objects import cluster_of, pod, policy
from tests.nodeagent.registry import require


def in_a_namespace_of_its_own(body: Callable[[], None]) -> None:
    """Runs `body` in a thread whose network namespace ends with it."""
    assert os.geteuid() == 0, "needs root"
    require("nft", "nftables")
    failures: list[BaseException] = []

    def work() -> None:
        try:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            body()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def listed() -> str:
    return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout


def whole() -> Ruleset:
    """Every kind of rule we write."""
    web, database = pod("web", "10.244.0.2", ports=[("http", 8080)]), pod("db", "10.244.0.3", ports=[("sql", 5432)])
    second = pod("six", "fd00::2", ports=[("http", 8080)])
    peers = [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]
    more = [{"namespaceSelector": {}}, {"ipBlock": {"cidr": "fd00::/8"}}]
    ports = [{"port": 80}, {"port": 8000, "endPort": 8100}, {"port": "http"}, {"protocol": "UDP"}, {"port": 8050}]
    rules = [{"from": [*peers, *more], "ports": ports}, {"ports": [{"port": "http"}]}, {"from": peers}]
    outgoing = [{"to": [*peers, *more], "ports": ports}, {"ports": [{"port": "http"}]}]
    spec = policy(policyTypes=["Ingress", "Egress"], ingress=rules, egress=outgoing)
    return plan([spec], cluster_of(web, database, second), [web, database, second])


def test_the_kernel_takes_every_kind_of_rule_and_gives_it_all_back() -> None:
    def body() -> None:
        nftables.apply("add table inet somebody\nadd chain inet somebody theirs\n")
        before = listed()
        nftables.apply(rebuild("ours", whole()))
        assert "dport" in listed()
        nftables.apply(update("ours", whole(), Ruleset()))
        nftables.apply(rebuild("ours", whole()))  # over what is there
        nftables.apply(remove("ours"))
        assert listed() == before

    in_a_namespace_of_its_own(body)


def test_changes_one_after_the_other_end_where_a_rebuild_does() -> None:
    deny = policy("deny", policyTypes=["Ingress"])
    peer = policy("peer", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "a"}}}]}])
    one, two = pod("a", "10.244.0.2"), pod("b", "10.244.0.3")
    third = pod("a2", "10.244.0.4", app="a")
    steps = [
        plan([], cluster_of(one), [one]),
        plan([deny], cluster_of(one), [one]),
        plan([deny, peer], cluster_of(one, two), [one, two]),
        plan([deny, peer], cluster_of(one, two, third), [one, two, third]),
        plan([peer], cluster_of(two, third), [two]),
    ]

    def body() -> None:
        nftables.apply(rebuild("ours", steps[0]))
        for before, after in itertools.pairwise(steps):
            nftables.apply(update("ours", before, after))
        changed = sorted(listed().splitlines())
        nftables.apply(rebuild("ours", steps[-1]))
        assert sorted(listed().splitlines()) == changed

    in_a_namespace_of_its_own(body)


def test_the_control_a_broken_transaction_is_refused_as_a_whole() -> None:
    def body() -> None:
        nftables.apply(rebuild("ours", whole()))
        before = listed()
        with pytest.raises(nftables.FirewallError):
            nftables.apply(rebuild("ours", Ruleset()) + "add rule inet ours nowhere drop\n")
        assert listed() == before

    in_a_namespace_of_its_own(body)
