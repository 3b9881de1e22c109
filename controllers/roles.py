"""The cluster roles of the controllers, generated from what they declare: `python -m controllers.roles` writes them.

The API server makes them, with a binding to the service account of the same name, when it starts; a test compares the
file with the declarations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controllers.garbagecollector import GarbageCollector
from controllers.manager import CONTROLLERS
from controllers.simulatednodes import SimulatedNodes
from tiphys.client.clusterrole import rules
from tiphys.client.controller import Controller

FILE = Path(__file__).parent.parent / "apiserver" / "authorization" / "controllerroles.json"
_COLLECTOR = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch", "patch", "update", "delete"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
]


def controller_rules() -> Mapping[str, list[dict[str, Any]]]:
    """Name of the controller -> its RBAC rules."""
    found: dict[str, list[dict[str, Any]]] = {GarbageCollector.name: _COLLECTOR}
    for controller in (*CONTROLLERS.values(), SimulatedNodes):
        if isinstance(controller, type) and issubclass(controller, Controller):
            found[controller.name] = rules([controller])
    return dict(sorted(found.items()))


def text() -> str:
    """The file."""
    lines = []
    for name, of_one in controller_rules().items():
        each = ",\n".join(f"    {json.dumps(rule)}" for rule in of_one)
        lines.append(f"  {json.dumps(name)}: [\n{each}\n  ]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(text())
