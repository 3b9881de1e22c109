"""ServiceAccount."""

from __future__ import annotations

from typing import Any

from tiphys.cli.describers.parts import heading, labels_and_annotations
from tiphys.cli.server import Server
from tiphys.clock import Clock


def describe(server: Server, obj: dict[str, Any], clock: Clock) -> list[str]:
    secrets = [item.get("name", "") for item in obj.get("imagePullSecrets") or []] or ["<none>"]
    return [
        *heading(obj),
        *labels_and_annotations(obj),
        f"Image pull secrets:\t{secrets[0]}",
        *(f"\t{name}" for name in secrets[1:]),
    ]
