"""Pod ranges of nodes: every node without spec.podCIDRs gets one free range of each cluster range.

What must stay true: no two nodes have ranges that overlap, also while our own writes are not in the cache yet, and a
node keeps the range it has for as long as it exists.  Simulated nodes have no pods that anybody could reach: they get
none, so that thousands of them do not use up the cluster's range.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import ClassVar

from tiphys.api.core.node import Node
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Environment, Writes

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NODE_PREFIX = {4: 24, 6: 64}
SIMULATED = ("type", "tiphys-fake")  # the label of simulatednodes.py
RETRY_SECONDS = 30.0


class RangesExhausted(Exception):
    """A cluster range has no free part left."""


def parse_ranges(texts: Iterable[str]) -> list[Network]:
    """The cluster's ranges, at most one of each family.  Raises ValueError."""
    ranges = [ipaddress.ip_network(text) for text in texts]
    if len({one.version for one in ranges}) != len(ranges):
        raise ValueError(f"more than one range of one family: {', '.join(map(str, ranges))}")
    return ranges


def node_prefix(cluster: Network) -> int:
    """How long the prefix of one node is: a /24 (IPv6: /64), or a 16th of a cluster range that is too small for it."""
    usual = NODE_PREFIX[cluster.version]
    return usual if cluster.prefixlen < usual else min(cluster.prefixlen + 4, cluster.max_prefixlen - 2)


def choose(cluster: Network, taken: Iterable[Network]) -> Network:
    """The first part of `cluster` that overlaps with none of `taken`.  Raises RangesExhausted."""
    prefix = node_prefix(cluster)
    size, base = 1 << (cluster.max_prefixlen - prefix), int(cluster.network_address)
    used: set[int] = set()
    for one in taken:
        if one.version == cluster.version and cluster.overlaps(one):
            first = max(0, (int(one.network_address) - base) // size)
            used.update(range(first, min((int(one.broadcast_address) - base) // size, (1 << 20)) + 1))
    for number in range(min(1 << (prefix - cluster.prefixlen), 1 << 20)):
        if number not in used:
            return type(cluster)((base + number * size, prefix))
    raise RangesExhausted(str(cluster))


def plan(clusters: Sequence[Network], taken: Iterable[Network]) -> list[str]:
    """One free range of each cluster range, as text.  Raises RangesExhausted."""
    known = list(taken)
    return [str(choose(cluster, known)) for cluster in clusters]


def ranges_of(node: Node) -> list[Network]:
    """What the node has; text that is no range counts for nothing."""
    found: list[Network] = []
    for text in dict.fromkeys([*([node.spec.podCIDR] if node.spec.podCIDR else []), *node.spec.podCIDRs]):
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            continue
    return found


class NodeIPAM(Controller):
    name: ClassVar = "node-ipam-controller"
    kind = Node
    writes = (Writes(Node, ("patch",)),)
    workers = 1  # one choice after the other

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.clusters = parse_ranges(environment.cluster_cidrs)
        self._given: dict[str, list[Network]] = {}  # node to what it got, until the cache shows it

    async def reconcile(self, key: Key) -> float | None:
        node = self.cache(Node).get(*key)
        if node is None or node.spec.podCIDR:
            self._given.pop(key.name, None)
            return None
        if not self.clusters or node.metadata.labels.get(SIMULATED[0]) == SIMULATED[1]:
            return None
        taken = [one for other in self.cache(Node).list() for one in ranges_of(other)]
        taken += [one for name, given in self._given.items() if name != key.name for one in given]
        try:
            chosen = plan(self.clusters, taken)
        except RangesExhausted:
            message = f"Node {key.name} status is now: CIDRNotAvailable"
            self.events.event(node, "Normal", "CIDRNotAvailable", message)
            return RETRY_SECONDS
        self._given[key.name] = [ipaddress.ip_network(text) for text in chosen]
        await self.client.patch(Node, key.name, "", {"spec": {"podCIDR": chosen[0], "podCIDRs": chosen}})
        return None
