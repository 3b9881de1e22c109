"""Kernel settings of pods: which belong to a namespace of the pod, and which of those a node lets a pod set.

Pure.  A setting is `safe` when it cannot be used against other pods; the others have to be allowed by the node's
operator (exactly, or by a prefix that ends in `*`).  Names may be written with dots or with slashes; the dotted form
is what is written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from nodeagent.runtime.interface import RuntimeFailure

REASON = "SysctlForbidden"

SAFE: frozenset[str] = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-zA-Z0-9_-]+(/[a-zA-Z0-9_-]+)*)+")  # no part is empty or dots alone
_VALUE = re.compile(r"[ -~\t]*")
_IPC = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")
# Any user may bind low ports and send pings: neither means anything in a namespace of one's own.
_DEFAULT_OF_NET = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
    "net.ipv6.conf.all.accept_ra": "0",
    "net.ipv6.conf.default.accept_ra": "0",
}


def dotted(name: str) -> str:
    """As sysctl(8): when the first separator is a slash, slashes and dots change places."""
    first = next((c for c in name if c in "./"), ".")
    return name if first == "." else name.translate({ord("/"): ".", ord("."): "/"})


def file_of(name: str) -> str:
    """Where a checked setting is: "net.ipv4.conf.eth0/1.forwarding" is net/ipv4/conf/eth0.1/forwarding."""
    return "/proc/sys/" + name.translate({ord("/"): ".", ord("."): "/"})


def of_ipc(name: str) -> bool:
    return name.startswith(_IPC)


def checked(wanted: Mapping[str, str], *, host_network: bool, host_ipc: bool) -> dict[str, str]:
    """What to write in the pod's namespaces, dotted, with our defaults.  Raises RuntimeFailure for anything that would
    reach beyond them, whatever the operator allows."""
    settings = {} if host_network else dict(_DEFAULT_OF_NET)
    for written, value in wanted.items():
        name = dotted(written)
        ours = (name.startswith("net.") and not host_network) or (of_ipc(name) and not host_ipc)
        if not _NAME.fullmatch(name) or not ours:
            raise RuntimeFailure(f"sysctl {written!r} does not belong to a namespace of the pod")
        if not _VALUE.fullmatch(value):
            raise RuntimeFailure(f"sysctl {written!r} has an invalid value")
        settings[name] = value
    return settings


def forbidden(
    names: Collection[str], *, host_network: bool, host_ipc: bool, allowed_unsafe: Collection[str] = ()
) -> str:
    """ "" or the message with which the node refuses the pod (the reason is REASON), in upstream's words."""
    for written in names:
        name = dotted(written)
        if not (name in SAFE or any(_matches(name, pattern) for pattern in allowed_unsafe)):
            return f'forbidden sysctl: "{name}" not allowlisted'
        if of_ipc(name) and host_ipc:
            return f'forbidden sysctl: "{name}" not allowed with host ipc enabled'
        if name.startswith("net.") and host_network:
            return f'forbidden sysctl: "{name}" not allowed with host net enabled'
    return ""


def _matches(name: str, pattern: str) -> bool:
    pattern = dotted(pattern)
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
