"""The controllers' own roles, as controllerroles.json says: one per controller, bound to its service account.

The file is generated from what the controllers declare.  What must stay true: the program that runs them may become
these accounts and no other, and has no right to write anything else.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

NAMESPACE = "kube-system"
PREFIX = "system:controller:"


@cache
def controller_rules() -> dict[str, list[dict[str, Any]]]:
    """Name of a controller -> its rules in wire form."""
    found: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_name("controllerroles.json").read_text())
    return found
