"""The seccomp section of the OCI configuration: our default profile, resolved for a set of capabilities.

The profile is data (`seccomp_default.json`, our own form).  What must stay true: unnamed calls are refused with EPERM,
a call that needs a capability is only there when the container holds it, `clone3` answers ENOSYS so that libc
falls back to the `clone` whose flags can be inspected, and sockets of AF_ALG (38) and AF_VSOCK (40) cannot be made.
"""

from __future__ import annotations

import functools
import json
import platform
from collections.abc import Set
from pathlib import Path
from typing import Any

_EPERM = 1
_PROFILE_LIMIT_BYTES = 1 << 20


@functools.cache
def _default_profile() -> dict[str, Any]:
    profile: dict[str, Any] = json.loads(Path(__file__).with_name("seccomp_default.json").read_text())
    return profile


def default_seccomp(capabilities: Set[str], machine: str = "") -> dict[str, Any]:
    """OCI `linux.seccomp` for a container with these capabilities ("CAP_..."); `machine` is as of uname."""
    return _resolve(frozenset(capabilities), machine or platform.machine())


@functools.lru_cache(maxsize=32)
def _resolve(capabilities: frozenset[str], machine: str) -> dict[str, Any]:
    profile = _default_profile()
    architecture = profile["architectures"].get(machine, {"seccomp": [], "always": []})
    allowed = {*profile["always"], *architecture["always"]}
    for capability, names in profile["with"].items():
        if capability in capabilities:
            allowed.update(names)
    rules: list[dict[str, Any]] = [{"names": sorted(allowed), "action": "SCMP_ACT_ALLOW"}]
    rules += _conditional(profile["conditions"])
    for capability, block in profile["without"].items():
        if capability not in capabilities:
            rules += _conditional(block["conditions"])
            rules += [
                {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": errno}
                for name, errno in block["errno"].items()
            ]
    resolved: dict[str, Any] = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": _EPERM, "syscalls": rules}
    if architecture["seccomp"]:
        resolved["architectures"] = architecture["seccomp"]
    return resolved


def _conditional(conditions: dict[str, list[list[list[Any]]]]) -> list[dict[str, Any]]:
    return [
        {
            "names": [name],
            "action": "SCMP_ACT_ALLOW",
            "args": [_argument(*comparison) for comparison in alternative],
        }
        for name, alternatives in conditions.items()
        for alternative in alternatives
    ]


def _argument(index: int, operator: str, value: int, value_two: int) -> dict[str, Any]:
    return {"index": index, "op": f"SCMP_CMP_{operator}", "value": value, "valueTwo": value_two}


def load_profile(path: str) -> dict[str, Any]:
    """A Localhost profile: OCI form, from the node's profile directory.  Raises ValueError with the cause."""
    file = Path(path)
    if not file.is_absolute() or ".." in file.parts:
        raise ValueError(f"seccomp profile {path!r}: not an absolute path")
    try:
        with file.open("rb") as stream:
            body = stream.read(_PROFILE_LIMIT_BYTES + 1)
        profile = json.loads(body)
    except (OSError, ValueError) as error:
        raise ValueError(f"seccomp profile {path!r}: {error}") from error
    if len(body) > _PROFILE_LIMIT_BYTES or not isinstance(profile, dict) or "defaultAction" not in profile:
        raise ValueError(f"seccomp profile {path!r}: not a seccomp profile")
    known = ("defaultAction", "defaultErrnoRet", "architectures", "flags", "syscalls")
    return {key: profile[key] for key in known if key in profile}
