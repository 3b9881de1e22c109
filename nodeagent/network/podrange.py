"""The pod range of this node: what the control plane has written into its Node."""

from __future__ import annotations

import asyncio
import ipaddress

from nodeagent.network.peers import ipv4_range
from tiphys.api.core.node import Node
from tiphys.client.informer import Informer


def follow(nodes: Informer[Node], node_name: str, known: Node) -> asyncio.Future[ipaddress.IPv4Network]:
    """Done as soon as the node has a range, at once when `known` has one.  Call it before the informer starts."""
    found: asyncio.Future[ipaddress.IPv4Network] = asyncio.get_running_loop().create_future()

    def look(_: Node | None, new: Node | None) -> None:
        if new is not None and new.metadata.name == node_name and not found.done():
            pods = ipv4_range(new)
            if pods is not None:
                found.set_result(pods)

    nodes.add_handler(look)
    look(None, known)
    return found
