"""What field selectors may ask of published devices: whose, and of which driver."""

from typing import Any


def _spec(name: str) -> Any:
    return lambda obj: str((obj.get("spec") or {}).get(name) or "")


selectable_fields = {"spec.nodeName": _spec("nodeName"), "spec.driver": _spec("driver")}
