"""Linux capabilities: the default fourteen, and what add and drop lists make of them.  Pure.

Kubernetes names them without the prefix ("NET_ADMIN"); the OCI form is "CAP_NET_ADMIN".  Results are always limited to
what the node itself holds, because asking the kernel for more fails the whole container.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

DEFAULT_CAPABILITIES: frozenset[str] = frozenset(
    f"CAP_{name}"
    for name in [
        "CHOWN",
        "DAC_OVERRIDE",
        "FSETID",
        "FOWNER",
        "MKNOD",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SETFCAP",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
        "KILL",
        "AUDIT_WRITE",
    ]
)

# In the order of their bit in /proc/PID/status.
NAMES: tuple[str, ...] = tuple(
    f"CAP_{name}"
    for name in [
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "KILL",
        "SETGID",
        "SETUID",
        "SETPCAP",
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "IPC_OWNER",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "SYS_PACCT",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "MKNOD",
        "LEASE",
        "AUDIT_WRITE",
        "AUDIT_CONTROL",
        "SETFCAP",
        "MAC_OVERRIDE",
        "MAC_ADMIN",
        "SYSLOG",
        "WAKE_ALARM",
        "BLOCK_SUSPEND",
        "AUDIT_READ",
        "PERFMON",
        "BPF",
        "CHECKPOINT_RESTORE",
    ]
)


def from_mask(mask: int) -> frozenset[str]:
    """Names of the bits of a CapBnd-like number; bits newer than this table are left out."""
    return frozenset(name for bit, name in enumerate(NAMES) if mask >> bit & 1)


def effective_capabilities(
    add: Iterable[str], drop: Iterable[str], *, privileged: bool, held_by_node: Set[str]
) -> frozenset[str]:
    """The container's bounding, permitted and effective set.

    "ALL" in add or drop is applied first, then the single names, additions last: as upstream, `drop: [ALL]` with
    `add: [X]` leaves X, and `add: [ALL]` with `drop: [X]` leaves all but X.
    """
    if privileged:
        return frozenset(held_by_node)
    adds, drops = {_oci(name) for name in add}, {_oci(name) for name in drop}
    result = set(DEFAULT_CAPABILITIES)
    if "CAP_ALL" in adds:
        result = set(NAMES)
    if "CAP_ALL" in drops:
        result = set()
    result |= adds & set(NAMES)
    result -= drops
    return frozenset(result & held_by_node)


def _oci(name: str) -> str:
    upper = name.upper()
    return upper if upper.startswith("CAP_") else f"CAP_{upper}"
