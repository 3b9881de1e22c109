"""Pods, namespaces and policies for the tests of NetworkPolicy, and who may talk to whom after a plan."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nodeagent.policy.plan import Ruleset, family_of, plan
from nodeagent.policy.selection import Cluster, PodFacts, Policy, read_policy
from tiphys.api.networking.networkpolicy import NetworkPolicy


def pod(
    name: str, address: str, namespace: str = "shop", *, ports: Sequence[tuple[str, int]] = (), **labels: str
) -> PodFacts:
    named = tuple(("TCP", one, number) for one, number in ports)
    return PodFacts(name, namespace, labels or {"app": name}, (address,), named)


def policy(name: str = "p", namespace: str = "shop", **spec: Any) -> Policy:
    return read_policy(
        NetworkPolicy.model_validate(
            {"metadata": {"name": name, "namespace": namespace}, "spec": {"podSelector": {}, **spec}}
        )
    )


def cluster_of(*pods: PodFacts) -> Cluster:
    namespaces: dict[str, Mapping[str, str]] = {one: {"kubernetes.io/metadata.name": one} for one in ("shop", "bank")}
    return Cluster({one.uid: one for one in pods}, namespaces)


class Packets:
    """Reads a plan as the kernel would: enough of nft's language for the rules we write."""

    def __init__(self, rules: Ruleset) -> None:
        self._rules = rules

    def passes(self, source: str, target: str, port: int = 80, protocol: str = "tcp") -> bool:
        """Whether the first packet of a connection passes this node."""
        family = family_of(target)
        if f"{source} . {target}" in self._rules.themselves[family]:
            return True
        for way, end in (("egress", source), ("ingress", target)):
            chain = self._rules.pods[f"{way}-{family}"].get(end)
            if chain is not None and not self._returns(chain, source, target, port, protocol):
                return False
        return True

    def _returns(self, chain: str, source: str, target: str, port: int, protocol: str) -> bool:
        for rule in self._rules.chains[chain]:
            if rule == "drop":
                return False
            if rule == "return" or self._matches(rule.removesuffix(" return"), source, target, port, protocol):
                return True
        return False

    def _matches(self, rule: str, source: str, target: str, port: int, protocol: str) -> bool:
        family = family_of(target)
        for part in re.findall(
            r"(?:ip6? daddr \. \w+ dport|ip6? [sd]addr|meta l4proto|\w+ dport) (?:@\S+|\{[^}]*\}|\S+)", rule
        ):
            field, _, value = part.rpartition(" ") if "{" not in part else part.partition(" {")
            if field.startswith("ip") and field.startswith("ip6") != (family == 6):
                return False
            value = value.strip("{} ")
            if field == "meta l4proto":
                if value != protocol:
                    return False
            elif " . " in field:
                if protocol not in field or f"{target} . {port}" not in self._rules.sets[value[1:]]:
                    return False
            elif field.endswith("dport"):
                spans = [one.partition("-") for one in value.split(", ")]
                if not field.startswith(protocol) or not any(int(a) <= port <= int(b or a) for a, _, b in spans):
                    return False
            elif not self._is_in(source if field.endswith("saddr") else target, value):
                return False
        return True

    def _is_in(self, address: str, value: str) -> bool:
        if value.startswith("@"):
            return address in self._rules.sets[value[1:]]
        return any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in value.split(", "))


def packets(policies: Sequence[Policy], *pods: PodFacts) -> Packets:
    """With all pods on this node."""
    return Packets(plan(policies, cluster_of(*pods), pods))
