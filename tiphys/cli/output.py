"""Printing whole objects: YAML, JSON, names, JSONPath, columns of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tiphys.cli.errors import CommandError
from tiphys.cli.resources import ResourceType
from tiphys.cli.table import TablePrinter
from tiphys.cli.terminal import neutral

FORMATS = "custom-columns,json,jsonpath,jsonpath-file,name,wide,yaml"
Found = tuple[ResourceType, dict[str, Any]]
Printer = Callable[[Sequence[Found], bool], str]


def printer(output: str, *, managed_fields: bool = False, headers: bool = True) -> Printer:
    """A function that turns objects into text: one object as itself (second argument true), several as a v1 List.

    Raises CommandError for a format that does not exist, before anything is asked of the server."""
    name, _, template = output.partition("=")
    if name == "name" and not template:
        return lambda found, single: "".join(f"{kind.label}/{obj['metadata']['name']}\n" for kind, obj in found)
    if name == "custom-columns" and template:
        return _columns(template, headers)
    if name == "jsonpath-file" and template:
        name, template = "jsonpath", _file(template)
    if name == "jsonpath" and template:
        from tiphys.cli.jsonpath import render

        return lambda found, single: render(template, _value(found, single, managed_fields=True))
    if output == "json":
        return lambda found, single: _json(_value(found, single, managed_fields)) + "\n"
    if output == "yaml":
        from tiphys.api.yaml import dump

        return lambda found, single: dump(_value(found, single, managed_fields))
    raise CommandError(
        f'unable to match a printer suitable for the output format "{output}", allowed formats are: {FORMATS}'
    )


def _value(found: Sequence[Found], single: bool, managed_fields: bool) -> Any:
    plain = [obj if managed_fields else _without_managed_fields(obj) for _, obj in found]
    if single:
        return plain[0]
    return {"apiVersion": "v1", "items": plain, "kind": "List", "metadata": {"resourceVersion": ""}}


def _file(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


def _json(value: Any) -> str:
    """Four spaces and sorted keys, as kubectl prints."""
    return json.dumps(value, indent=4, sort_keys=True, ensure_ascii=False)


def _columns(template: str, headers: bool) -> Printer:
    """NAME:.metadata.name,IMAGE:.spec.containers[*].image"""
    from tiphys.cli.jsonpath import find

    titles, paths = [], []
    for column in template.split(","):
        title, _, path = column.partition(":")
        if not title or not path:
            raise CommandError(f"unexpected custom-columns spec: {column}, expected <header>:<json-path-expr>")
        titles.append(title)
        paths.append(path)
    table = TablePrinter(headers=headers)

    def show(found: Sequence[Found], single: bool) -> str:
        rows = [[neutral(",".join(find(path, obj)) or "<none>") for path in paths] for _, obj in found]
        return "".join(line + "\n" for line in table.lines(titles, rows))

    return show


def _without_managed_fields(obj: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}
