"""Who publishes the addresses of Ingresses, and which.  Pure.

What must stay true: every node comes to the same writer from the same Nodes, so no election is needed; a node publishes
only while its listener runs (its annotation says so) and it is ready.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tiphys.api.core.node import Node
from tiphys.api.networking.ingress import Ingress

LISTENS = "tiphys.dev/ingress"  # annotation of a Node whose listener runs


def serving_nodes(nodes: Iterable[Node]) -> list[Node]:
    """Those whose addresses are good, by name."""
    return sorted((node for node in nodes if _serves(node)), key=lambda node: node.metadata.name)


def _serves(node: Node) -> bool:
    if LISTENS not in node.metadata.annotations or node.metadata.deletionTimestamp:
        return False
    return any(one.type == "Ready" and one.status == "True" for one in node.status.conditions)


def writer(nodes: Iterable[Node]) -> str:
    """The name of the node that writes; "" when no node serves."""
    return next((node.metadata.name for node in serving_nodes(nodes)), "")


def addresses(nodes: Iterable[Node]) -> list[dict[str, str]]:
    """`status.loadBalancer.ingress`: of each node the external addresses, or else the internal ones."""
    found: list[str] = []
    for node in serving_nodes(nodes):
        for kind in ("ExternalIP", "InternalIP"):
            mine = [one.address for one in node.status.addresses if one.type == kind]
            found += mine
            if mine:
                break
    return [{"ip": address} for address in dict.fromkeys(found)]


def outdated(ingresses: Iterable[Ingress], wanted: Sequence[dict[str, str]]) -> list[Ingress]:
    """Those whose status says something else."""
    return [one for one in ingresses if _published(one) != list(wanted)]


def _published(ingress: Ingress) -> list[dict[str, Any]]:
    return [{"ip": one.ip} if one.ip else {"hostname": one.hostname} for one in ingress.status.loadBalancer.ingress]
