"""Clients that stay with their endpoint, as the kernel remembers them: kept over a rebuild, forgotten with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from nodeagent.services import nftables
from nodeagent.services.elements import Element, endpoints_map

Value = Callable[[Element], str | None]


class Memory(NamedTuple):
    """A client of an entrance went to `endpoint` ("address . port"); seconds as nft says them."""

    client: str
    address: str
    protocol: str
    port: int
    endpoint: str
    timeout_seconds: int
    expires_seconds: int

    @property
    def key(self) -> str:
        return f"{self.client} . {self.address} . {self.protocol} . {self.port}"


def memories(table: str) -> Iterator[Memory]:
    """All of them, in this thread's network namespace."""
    for entry in nftables.listed(f"map ip {table} affinity"):
        for key, value in entry.get("map", {}).get("elem", ()):
            element = key.get("elem", {})
            concat = element.get("val", {}).get("concat")
            if concat and "timeout" in element:
                client, address, protocol, port = concat
                expires = element.get("expires", 0)
                yield Memory(client, address, protocol, port, _endpoint(value), element["timeout"], expires)


def _endpoint(value: Any) -> str:
    address, port = value["concat"]
    return f"{address} . {port}"


def holds(memory: Memory, value: Value) -> bool:
    """Its endpoint still takes traffic of the entrance, and clients still stay there."""
    for container, key in (
        ("", f"{memory.address} . {memory.protocol} . {memory.port}"),
        ("node-", f"{memory.protocol} . {memory.port}"),
    ):
        if value(Element("ip", f"{container}affine", key)) is None:
            continue
        endpoints = endpoints_map(memory.protocol, node_port=bool(container))
        for offset in (0, 65536):
            slot = offset
            while (found := value(Element("ip", endpoints, f"{key} . {slot}"))) is not None:
                if found == memory.endpoint:
                    return True
                slot += 1
    return False


def kept(table: str, value: Value) -> list[str]:
    """Elements of the map `affinity` to put back into a table that is made anew."""
    return [
        f"{one.key} timeout {one.timeout_seconds}s expires {one.expires_seconds}s : {one.endpoint}"
        for one in memories(table)
        if one.expires_seconds and holds(one, value)
    ]


def forgotten(table: str, value: Value) -> str:
    """The transaction that forgets clients whose endpoint is gone; "" when there are none."""
    gone = [one.key for one in memories(table) if not holds(one, value)]
    return f"delete element ip {table} affinity {{ {', '.join(gone)} }}\n" if gone else ""
