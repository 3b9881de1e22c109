"""Compiled seccomp filters: crun compiles a profile once, and later containers of that profile are given the result.

Compiling takes crun about a third of a container's start.  What must stay true: a filter is only used again for the
very same `linux.seccomp` section; it comes from the OCI runtime's own state directory, which only root can write; and
the one annotation made here is the only one that any container gets.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson

_ANNOTATION = "run.oci.seccomp_bpf_data"
_INSTRUCTION_BYTES = 8
_KEPT = 64  # more profiles than a node has; the oldest is forgotten


class SeccompFilters:
    """`state` is the OCI runtime's --root.  With a runtime that leaves no compiled filter there, nothing happens."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._known: dict[bytes, str] = {}

    def apply(self, config: dict[str, Any]) -> bytes:
        """Add the compiled filter to an OCI config if there is one; the key to `learn` it by afterwards."""
        section = config["linux"].get("seccomp")
        if section is None:
            return b""
        key = orjson.dumps(section, option=orjson.OPT_SORT_KEYS)
        if filter_text := self._known.get(key):
            config["annotations"] = {_ANNOTATION: filter_text}
        return key

    def learn(self, key: bytes, container_id: str) -> None:
        """Keep what the OCI runtime has compiled for a container that was just created."""
        if not key or key in self._known:
            return
        try:
            body = (self._state / container_id / "seccomp.bpf").read_bytes()
        except OSError:
            return
        if body and len(body) % _INSTRUCTION_BYTES == 0:
            if len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[key] = base64.b64encode(body).decode()
