"""Durations as Go writes them: 300ms, 1.5h, 2h45m; a bare number is seconds."""

from __future__ import annotations

import argparse
import re

_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)", re.ASCII)
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_MAX_LENGTH = 64


def seconds(text: str) -> float:
    """The duration in seconds; for `type=` of a flag.  Raises ArgumentTypeError."""
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if body.isascii() and body.isdigit() and len(body) <= _MAX_LENGTH:
        return sign * float(body)
    parts = list(_PART.finditer(body)) if len(body) <= _MAX_LENGTH else []
    if not parts or "".join(part[0] for part in parts) != body:
        raise argparse.ArgumentTypeError(f'invalid duration "{text[:_MAX_LENGTH]}"; give one such as 5s, 2m or 1h30m')
    return sign * sum(float(part[1]) * _SECONDS[part[2]] for part in parts)
