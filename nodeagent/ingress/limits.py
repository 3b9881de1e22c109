"""How long and how much a client or a backend may take.  Times are seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`head_seconds` bounds a whole head however slowly it trickles; idle times start anew with every piece."""

    head_bytes: int = 32768
    head_seconds: float = 15.0
    keep_alive_seconds: float = 75.0
    body_idle_seconds: float = 60.0
    response_seconds: float = 60.0  # from the whole request to the head of the answer
    stream_idle_seconds: float = 600.0  # between pieces of an answer
    upgrade_idle_seconds: float = 3600.0
    handshake_seconds: float = 10.0
    drain_seconds: float = 10.0  # what is under way may take so long when the listener stops
    connections: int = 8192
    connections_per_client: int = 2048
