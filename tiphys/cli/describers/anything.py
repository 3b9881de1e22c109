"""A kind without a description of its own: heading, then every field as indented text, sorted by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiphys.cli.describers.parts import heading, labels_and_annotations
from tiphys.cli.server import Server
from tiphys.clock import Clock

_IN_HEADING = ("managedFields", "name", "namespace", "labels", "annotations", "selfLink")
_ACRONYMS = {"Api": "API", "Url": "URL", "Uid": "UID", "Osb": "OSB", "Guid": "GUID"}


def describe(server: Server, obj: dict[str, Any], clock: Clock) -> list[str]:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _IN_HEADING}
    return [
        *heading(obj, namespaced="namespace" in obj["metadata"]),
        *labels_and_annotations(obj),
        *_fields({**obj, "metadata": metadata}, 0),
    ]


def _title(key: str) -> str:
    """replicaCount -> Replica Count, apiVersion -> API Version."""
    spaced = "".join(
        f" {char}" if char.isupper() and not key[:place].isupper() else char for place, char in enumerate(key)
    )
    words = [word[:1].upper() + word[1:] for word in spaced.split()]
    return " ".join(_ACRONYMS.get(word, word) for word in words)


def _fields(values: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for key, value in sorted(values.items()):
        if isinstance(value, dict):
            yield f"{indent}{_title(key)}:"
            yield from _fields(value, depth + 1)
        elif isinstance(value, list):
            yield f"{indent}{_title(key)}:"
            for item in value:
                if isinstance(item, dict):
                    yield from _fields(item, depth + 1)
                else:
                    yield f"{indent}  {_scalar(item)}"
        else:
            yield f"{indent}{_title(key)}:\t{_scalar(value)}"


def _scalar(value: Any) -> str:
    return "<nil>" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
