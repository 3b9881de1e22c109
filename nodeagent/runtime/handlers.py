"""The OCI runtimes of this node, as RuntimeClass handlers and as Node.status shows them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from nodeagent.runtime.interface import NoSuchHandler

_KNOWN = ("crun", "runc")  # in order of preference
_READ_ONLY_RECURSIVE = (5, 12)  # kernels with mount_setattr
_MAPPED_TMPFS = (6, 3)  # kernels that show tmpfs, where Secrets are, through a user namespace


def find_handlers() -> dict[str, str]:
    """Handler -> path of the OCI runtime, of those that are installed; "" is the default: crun, else runc."""
    found = {name: path for name in _KNOWN if (path := shutil.which(name))}
    return {"": next(iter(found.values())), **found} if found else {}


def path_of(handlers: Mapping[str, str], name: str) -> str:
    """Raises NoSuchHandler in containerd's words."""
    if name not in handlers:
        raise NoSuchHandler(f'no runtime for "{name}" is configured')
    return handlers[name]


def user_namespaces(release: str = "") -> bool:
    """Whether this kernel (or one of that release) can give pods user namespaces."""
    allowed = Path("/proc/sys/user/max_user_namespaces")
    return _version(release) >= _MAPPED_TMPFS and allowed.exists() and int(allowed.read_text()) > 0


def node_status(handlers: Collection[str], *, user_namespaces: bool, release: str = "") -> dict[str, Any]:
    """`runtimeHandlers` and `features` of Node.status; `release` is the kernel's, as of uname.  Pure with a release."""
    features = {
        "recursiveReadOnlyMounts": _version(release) >= _READ_ONLY_RECURSIVE,
        "userNamespaces": user_namespaces,
    }
    return {
        "runtimeHandlers": [{"name": name, "features": features} for name in sorted(handlers)],
        "features": {"supplementalGroupsPolicy": True},
    }


def _version(release: str) -> tuple[int, ...]:
    numbers = (release or os.uname().release).split("-")[0].split(".")[:2]
    return tuple(int(part) if part.isdigit() else 0 for part in numbers)
