"""ConfigMap and Secret.  A secret's values are counted, never shown."""

from __future__ import annotations

import base64
from typing import Any

from tiphys.cli.describers.parts import heading, labels_and_annotations
from tiphys.cli.server import Server
from tiphys.clock import Clock


def describe(server: Server, obj: dict[str, Any], clock: Clock) -> list[str]:
    lines = [*heading(obj), *labels_and_annotations(obj)]
    data = obj.get("data") or {}
    if obj["kind"] == "Secret":
        lines += ["", f"Type:\t{obj.get('type', '')}", "", "Data", "===="]
        return lines + [f"{key}:\t{len(base64.b64decode(value))} bytes" for key, value in sorted(data.items())]
    lines += ["", "Data", "===="]
    for key, value in sorted(data.items()):
        lines += [f"{key}:", "----", value, ""]
    lines += ["", "BinaryData", "===="]
    binary = obj.get("binaryData") or {}
    return lines + [f"{key}: {len(base64.b64decode(value))} bytes" for key, value in sorted(binary.items())] + [""]
