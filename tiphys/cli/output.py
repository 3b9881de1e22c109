"""Printing whole objects: YAML, JSON, names, JSONPath."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from tiphys.cli.errors import CommandError
from tiphys.cli.resources import ResourceType

FORMATS = "wide, yaml, json, name, jsonpath=TEMPLATE"


def print_objects(
    objects: Sequence[tuple[ResourceType, dict[str, Any]]], output: str, *, single: bool, managed_fields: bool = False
) -> None:
    """Print one object as itself, several as a v1 List.  Raises CommandError for an unknown format."""
    if output == "name":
        for resource, obj in objects:
            print(f"{resource.label}/{obj['metadata']['name']}")
        return
    plain = [obj if managed_fields else _without_managed_fields(obj) for _, obj in objects]
    value: Any = plain[0] if single else {"apiVersion": "v1", "items": plain, "kind": "List", "metadata": {}}
    name, _, template = output.partition("=")
    if output == "json":
        print(_json(value))
    elif output == "yaml":
        from tiphys.api.yaml import dump

        print(dump(value), end="")
    elif name == "jsonpath" and template:
        from tiphys.cli.jsonpath import render

        print(render(template, value), end="")
    else:
        raise CommandError(f"unable to match a printer suitable for the output format {output!r}; allowed: {FORMATS}")


def _json(value: Any) -> str:
    """Four spaces and sorted keys, as kubectl prints."""
    import json

    return json.dumps(orjson.loads(orjson.dumps(value)), indent=4, sort_keys=True, ensure_ascii=False)


def _without_managed_fields(obj: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}
