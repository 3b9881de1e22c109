"""Namespace."""

from __future__ import annotations

from typing import Any

from tiphys.cli.describers.parts import conditions, heading, labels_and_annotations
from tiphys.cli.server import Server
from tiphys.clock import Clock


def describe(server: Server, obj: dict[str, Any], clock: Clock) -> list[str]:
    status = obj.get("status") or {}
    return [
        *heading(obj, namespaced=False),
        *labels_and_annotations(obj),
        f"Status:\t{status.get('phase', '')}",
        *conditions(status.get("conditions") or [], reasons=True),
        "",
        "No resource quota.",
        "",
        "No LimitRange resource.",
    ]
