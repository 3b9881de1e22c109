"""Go's durations ("1m30s", "500ms"), as the `timeout` query parameter has them."""

from __future__ import annotations

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)", re.ASCII)


class DurationError(ValueError):
    """The text is no duration; the message is Go's."""


def parse_duration(text: str) -> float:
    """Seconds.  Raises DurationError."""
    if text == "0":
        return 0.0
    position, seconds = 0, 0.0
    while position < len(text) <= 64:
        match = _PART.match(text, position)
        if match is None:
            break
        seconds += float(match[1]) * _UNITS[match[2]]
        position = match.end()
    if not text or position != len(text):
        raise DurationError(f'time: invalid duration "{text}"')
    return seconds
