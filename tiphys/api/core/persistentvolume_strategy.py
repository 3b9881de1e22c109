"""A new volume waits for a claim."""

from typing import Any


def prepare_for_create(volume: dict[str, Any]) -> None:
    volume["status"] = {"phase": "Pending"}
