"""Pods reach the world outside of the cluster under the node's address: one chain in the nftables table of ours.

What must stay true: only the table named here is ever written, in one transaction, and traffic between pods keeps its
addresses.
"""

from __future__ import annotations

import ipaddress
import shutil

from nodeagent.runtime.process import run

CHAIN = "pod-masquerade"


class FirewallError(Exception):
    """nft refused; the text is its own."""


def rules(table: str, pods: ipaddress.IPv4Network, cluster: ipaddress.IPv4Network) -> str:
    """The transaction that makes the chain what it must be, whatever it was before."""
    return "\n".join(
        [
            f"add table ip {table}",
            f"add chain ip {table} {CHAIN} {{ type nat hook postrouting priority srcnat; policy accept; }}",
            f"flush chain ip {table} {CHAIN}",
            f"add rule ip {table} {CHAIN} ip saddr {pods} ip daddr != {{ {cluster}, 224.0.0.0/4 }} masquerade",
            "",
        ]
    )


async def apply(text: str) -> None:
    """Raises FirewallError."""
    nft = shutil.which("nft")
    if not nft:
        raise FirewallError("nft is needed: apt-get install nftables")
    done = await run([nft, text], timeout_seconds=30)
    if done.exit_code != 0:
        raise FirewallError(done.stderr.decode("utf-8", "replace").strip()[:1000])


async def remove(table: str) -> None:
    """The whole table; absent is fine."""
    await apply(f"add table ip {table}\ndelete table ip {table}\n")
