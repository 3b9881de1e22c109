"""Logging: constant messages with key=value fields, one line each, to standard error.

Use `logging.getLogger(__name__).info("pod started", extra=fields(pod="default/web"))`.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

_QUOTED = frozenset(' "=\n\t\\')


def fields(**values: Any) -> dict[str, Any]:
    """`extra=fields(pod=..., node=...)`."""
    return {"fields": values}


def _show(value: Any) -> str:
    text = str(value)
    if text and not _QUOTED.intersection(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


class FieldFormatter(logging.Formatter):
    """2026-01-02T03:04:05.678Z INFO  component.module message key=value ..."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        parts = [f"{moment}Z {record.levelname:<7} {record.name} {record.getMessage()}"]
        parts += [f"{key}={_show(value)}" for key, value in getattr(record, "fields", {}).items()]
        if record.exc_info:
            parts.append("error=" + _show(self.formatException(record.exc_info)))
        return " ".join(parts)


def setup(component: str, level: str = "INFO") -> logging.Logger:
    """Send this process's log to standard error; returns the component's logger."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FieldFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    return logging.getLogger(component)
