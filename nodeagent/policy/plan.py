"""Chains and sets for the pods of this node, out of what policies say.  Pure.

A packet of a new connection looks for its sender in `egress-4` and for its receiver in `ingress-4` (`-6` likewise):
pods under a policy lead to a chain that returns what is allowed and drops the rest.  Pods with the same rules share a
chain.  A chain is named after its content, a set after the selector that fills it.

What must stay true: a pod that no policy is about costs nothing; a change of a pod's address changes elements of sets,
and no chain.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from nodeagent.policy.selection import EGRESS, INGRESS, Block, Cluster, PodFacts, Policy, PortRange, Rule, Selector

Rules = tuple[str, ...]


@dataclass
class Ruleset:
    """What the table holds: sets (name -> elements), chains (name -> rules), pods (map -> address -> chain)."""

    sets: dict[str, frozenset[str]] = field(default_factory=dict)
    chains: dict[str, Rules] = field(default_factory=dict)
    pods: dict[str, dict[str, str]] = field(
        default_factory=lambda: {f"{way}-{family}": {} for way in ("ingress", "egress") for family in (4, 6)}
    )
    themselves: dict[int, frozenset[str]] = field(default_factory=lambda: {4: frozenset(), 6: frozenset()})


def plan(policies: Iterable[Policy], cluster: Cluster, local: Iterable[PodFacts]) -> Ruleset:
    """`local`: the pods of this node; `cluster` has them too."""
    result = Ruleset()
    planner = _Planner(cluster, result)
    by_namespace: dict[str, list[Policy]] = {}
    for policy in sorted(policies, key=lambda one: one.key):
        by_namespace.setdefault(policy.about.namespace, []).append(policy)
    themselves: dict[int, set[str]] = {4: set(), 6: set()}
    for pod in local:
        about = [one for one in by_namespace.get(pod.namespace, ()) if one.about.pods.matches(pod.labels)]
        for direction in (INGRESS, EGRESS):
            said = [rules for one in about if (rules := one.rules(direction)) is not None]
            if not said:
                continue
            chain = planner.chain(direction, [rule for rules in said for rule in rules], pod)
            for address in pod.addresses:
                family = family_of(address)
                result.pods[f"{direction.lower()}-{family}"][address] = chain
                themselves[family].add(f"{address} . {address}")
    cluster.forget_all_but(planner.found.keys())
    result.themselves = {family: frozenset(pairs) for family, pairs in themselves.items()}
    return result


def family_of(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4


class _Planner:
    """Remembers what a chain was made of, so that pods alike share the work too."""

    def __init__(self, cluster: Cluster, result: Ruleset) -> None:
        self._cluster, self._result = cluster, result
        self.found: dict[str, list[PodFacts]] = {}
        self._known: dict[tuple[object, ...], str] = {}

    def chain(self, direction: str, rules: Sequence[Rule], pod: PodFacts) -> str:
        """The name of the chain with these rules; of the pod only the names of its ports matter, coming in."""
        named = direction == INGRESS and any(port.name for rule in rules for port in rule.ports)
        key = (direction, tuple(map(id, rules)), pod.ports if named else ())
        known = self._known.get(key)
        if known is None:
            lines = tuple(dict.fromkeys(line for rule in rules for line in self._lines(direction, rule, pod)))
            content = (*lines, "drop")
            known = f"{direction.lower()}-{_digest(content)}"
            self._result.chains[known] = content
            self._known[key] = known
        return known

    def _lines(self, direction: str, rule: Rule, pod: PodFacts) -> Iterator[str]:
        if rule.peers is None:
            yield from self._for_ports(direction, rule.ports, pod, "", None)
            return
        for peer in rule.peers:
            if isinstance(peer, Selector):
                members = self._members(peer)
                for family in (4, 6):
                    name = self._peer_set(peer, members, family)
                    match = f"{_field(direction, family)} @{name}"
                    yield from self._for_ports(direction, rule.ports, pod, match, members)
            else:
                for family in (4, 6):
                    networks = [one for one in peer.networks if family_of(one) == family]
                    if networks:
                        match = f"{_field(direction, family)} {{ {', '.join(networks)} }}"
                        yield from self._for_ports(direction, rule.ports, pod, match, self._inside(rule.ports, peer))

    def _for_ports(
        self, direction: str, ports: Sequence[PortRange], pod: PodFacts, match: str, peers: list[PodFacts] | None
    ) -> Iterator[str]:
        """One line per protocol; the names of ports are those of the receiving pod."""
        if not ports:
            yield f"{match} return".strip()
            return
        numbers: dict[str, list[str]] = {}
        for port in ports:
            protocol = port.protocol.lower()
            if port.name:
                if direction == EGRESS:
                    yield from self._named_egress(port, match, peers)
                elif (number := pod.number_of(port.name, port.protocol)) is not None:
                    numbers.setdefault(protocol, []).append(str(number))
            elif port.first == 0:
                numbers.setdefault(protocol, []).append("")
            else:
                text = str(port.first) if port.first == port.last else f"{port.first}-{port.last}"
                numbers.setdefault(protocol, []).append(text)
        for protocol, found in sorted(numbers.items()):
            if "" in found:
                yield f"{match} meta l4proto {protocol} return".strip()
            else:
                yield f"{match} {protocol} dport {{ {', '.join(_merged(found))} }} return".strip()

    def _named_egress(self, port: PortRange, match: str, peers: list[PodFacts] | None) -> Iterator[str]:
        """Receivers have their own numbers for the name: a set of address and number."""
        receivers = list(self._cluster.pods.values()) if peers is None else peers
        for family in (4, 6):
            if match.startswith("ip6") != (family == 6) and match:
                continue
            name = f"named-{family}-{_digest((match, port.protocol, port.name))}"
            pairs = {
                f"{address} . {number}"
                for pod in receivers
                if (number := pod.number_of(port.name, port.protocol)) is not None
                for address in pod.addresses
                if family_of(address) == family
            }
            self._result.sets[name] = frozenset(pairs)
            destination = "ip daddr" if family == 4 else "ip6 daddr"
            protocol = port.protocol.lower()
            yield f"{destination} . {protocol} dport @{name} return"

    def _members(self, selector: Selector) -> list[PodFacts]:
        key = selector.key()
        found = self.found.get(key)
        if found is None:
            found = self.found[key] = self._cluster.select(selector)
        return found

    def _inside(self, ports: Sequence[PortRange], block: Block) -> list[PodFacts]:
        """The pods in a block; only looked for where a port has a name."""
        if not any(port.name for port in ports):
            return []
        networks = [ipaddress.ip_network(text) for text in block.networks]
        return [
            pod
            for pod in self._cluster.pods.values()
            if any(ipaddress.ip_address(one) in network for one in pod.addresses for network in networks)
        ]

    def _peer_set(self, selector: Selector, members: list[PodFacts], family: int) -> str:
        name = f"peers-{family}-{_digest((selector.key(),))}"
        if name not in self._result.sets:
            addresses = (one for pod in members for one in pod.addresses)
            self._result.sets[name] = frozenset(one for one in addresses if family_of(one) == family)
        return name


def _field(direction: str, family: int) -> str:
    return f"{'ip' if family == 4 else 'ip6'} {'saddr' if direction == INGRESS else 'daddr'}"


def _merged(texts: Iterable[str]) -> list[str]:
    """Ranges as nft takes them in one set: in order, without overlaps."""
    spans: list[list[int]] = []
    for first, last in sorted((int(a), int(b or a)) for a, _, b in (text.partition("-") for text in texts)):
        if spans and first <= spans[-1][1] + 1:
            spans[-1][1] = max(spans[-1][1], last)
        else:
            spans.append([first, last])
    return [str(first) if first == last else f"{first}-{last}" for first, last in spans]


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
