"""A kind without a description of its own: heading, then every field as indented text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiphys.cli.describers.parts import heading, labels_and_annotations
from tiphys.cli.server import Server
from tiphys.clock import Clock


def describe(server: Server, obj: dict[str, Any], clock: Clock) -> list[str]:
    lines = [*heading(obj, namespaced="namespace" in obj["metadata"]), *labels_and_annotations(obj)]
    lines += [f"API Version:\t{obj.get('apiVersion', '')}", f"Kind:\t{obj.get('kind', '')}"]
    for key, value in obj.items():
        if key not in ("apiVersion", "kind", "metadata"):
            lines.extend(_tree(key, value, 0))
    return lines


def _title(key: str) -> str:
    """replicaCount -> Replica Count."""
    spaced = "".join(f" {char}" if char.isupper() else char for char in key)
    return " ".join(word[:1].upper() + word[1:] for word in spaced.split())


def _tree(key: str, value: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, dict):
        yield f"{indent}{_title(key)}:"
        for inner, item in value.items():
            yield from _tree(inner, item, depth + 1)
    elif isinstance(value, list):
        yield f"{indent}{_title(key)}:"
        for item in value:
            if isinstance(item, dict):
                for inner, part in item.items():
                    yield from _tree(inner, part, depth + 1)
            else:
                yield f"{indent}  {item}"
    else:
        yield f"{indent}{_title(key)}:\t{value}"
