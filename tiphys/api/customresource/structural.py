"""A structural schema: JSONSchemaProps as a tree whose structure (types, fields, defaults) is known at every level.

What must stay true: `Structural.of` never fails for a schema that has passed decoding, structural or not; the rules of
structurality are checked elsewhere (structurality.py) and on the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

JsonObject = dict[str, Any]
ABSENT: Final = object()

PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
INT_OR_STRING = "x-kubernetes-int-or-string"
LIST_TYPE = "x-kubernetes-list-type"
LIST_MAP_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"
VALIDATIONS = "x-kubernetes-validations"
OF_EVERY_RESOURCE = ("apiVersion", "kind", "metadata")


@dataclass(eq=False, slots=True)
class Structural:
    """One level of the schema.  `text` is what its author wrote; the rest is read from it."""

    text: JsonObject
    type: str = ""
    properties: Mapping[str, Structural] = field(default_factory=dict)
    items: Structural | None = None
    additional: Structural | None = None  # of a map's values
    free_form: bool = False  # additionalProperties: true
    default: Any = ABSENT
    nullable: bool = False
    preserve_unknown: bool = False
    embedded: bool = False
    int_or_string: bool = False
    fills: bool = False  # there is a default here or below

    @classmethod
    def of(cls, text: Any) -> Structural:
        text = text if isinstance(text, dict) else {}
        properties = {name: cls.of(below) for name, below in _mapping(text.get("properties")).items()}
        items = text.get("items")
        additional = text.get("additionalProperties")
        node = cls(
            text,
            str(text.get("type") or ""),
            properties,
            cls.of(items) if isinstance(items, dict) else None,
            cls.of(additional) if isinstance(additional, dict) else None,
            additional is True,
            text.get("default", ABSENT),
            bool(text.get("nullable")),
            bool(text.get(PRESERVE)),
            bool(text.get(EMBEDDED)),
            bool(text.get(INT_OR_STRING)),
        )
        node.fills = node.default is not ABSENT or any(below.fills for below in node.below())
        return node

    def below(self) -> list[Structural]:
        return [*self.properties.values(), *(one for one in (self.items, self.additional) if one is not None)]

    def member(self, name: str) -> Structural | None:
        """The schema of an object's member; None where the schema does not know it."""
        found = self.properties.get(name)
        return found if found is not None else self.additional


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
