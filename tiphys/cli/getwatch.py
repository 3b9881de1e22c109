"""`tiphys get -w`: what there is, then every change, until the user or the server ends it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tiphys.cli import flags
from tiphys.cli.errors import CommandError
from tiphys.cli.get import Wanted, fetch, objects_of
from tiphys.cli.gettable import TABLE, TableView
from tiphys.cli.server import Server

if TYPE_CHECKING:
    from tiphys.cli.output import Printer


def follow(arguments: argparse.Namespace, server: Server, wanted: Sequence[Wanted], show: Printer | None) -> int:
    """Print until the stream ends; exit code 0."""
    if len(wanted) != 1:
        raise CommandError("you may only watch a single resource or type of resource at a time")
    item = wanted[0]
    first = fetch(arguments, server, item, TABLE if show is None else "application/json")
    if show is None:
        _tables(arguments, server, item, first)
    else:
        _objects(arguments, server, item, first, show)
    return 0


def _changes(arguments: argparse.Namespace, server: Server, item: Wanted, first: Any, accept: str) -> Iterator[Any]:
    """The objects of the watch's events, bookmarks left out."""
    query = {**flags.selector_query(arguments), "resourceVersion": first["metadata"].get("resourceVersion", "")}
    if item.name:
        query["fieldSelector"] = f"metadata.name={item.name}"
    if accept == TABLE and (arguments.show_labels or arguments.label_columns):
        query["includeObject"] = "Metadata"
    for event in server.watch(item.resource.path(item.namespace), query, accept=accept):
        if event["type"] != "BOOKMARK":
            yield event["object"]


def _tables(arguments: argparse.Namespace, server: Server, item: Wanted, first: Any) -> None:
    view = TableView(arguments)
    if not arguments.watch_only:
        _write("".join(line + "\n" for line in view.lines(item.resource, first, with_kind=arguments.show_kind)))
    columns = first.get("columnDefinitions")
    for table in _changes(arguments, server, item, first, TABLE):
        columns = table.get("columnDefinitions") or columns
        lines = view.lines(item.resource, {**table, "columnDefinitions": columns}, with_kind=arguments.show_kind)
        _write("".join(line + "\n" for line in lines))


def _objects(arguments: argparse.Namespace, server: Server, item: Wanted, first: Any, show: Printer) -> None:
    present = [] if arguments.watch_only else objects_of(item, first)
    divider = ""
    for obj in _both(present, _changes(arguments, server, item, first, "application/json")):
        _write(divider + show([(item.resource, obj)], True))
        divider = "---\n" if arguments.output == "yaml" else ""


def _both(present: Sequence[Any], changes: Iterator[Any]) -> Iterator[Any]:
    yield from present
    yield from changes


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
