"""A new claim is waiting for a volume."""

from typing import Any


def prepare_for_create(claim: dict[str, Any]) -> None:
    claim["status"] = {"phase": "Pending"}
