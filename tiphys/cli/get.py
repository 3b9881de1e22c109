"""`tiphys get`: tables as the server prints them, or the objects themselves as YAML, JSON, names or JSONPath."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from tiphys.cli import flags
from tiphys.cli.errors import CommandError, ServerError
from tiphys.cli.manifests import read_manifests
from tiphys.cli.output import print_objects
from tiphys.cli.resources import Resources, ResourceType, Target, targets
from tiphys.cli.server import Server, connect
from tiphys.cli.table import TablePrinter, cell_text

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
CHUNK = "500"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("resources", nargs="*", metavar="TYPE [NAME ...] | TYPE/NAME")
    flags.add_filename(parser, required=False)
    flags.add_connection(parser)
    flags.add_namespace(parser, all_namespaces=True)
    flags.add_selectors(parser)
    parser.add_argument("-o", "--output", default="", metavar="FORMAT", help="wide, yaml, json, name, jsonpath=...")
    parser.add_argument("-w", "--watch", action="store_true", help="go on printing what changes")
    parser.add_argument("--no-headers", action="store_true")
    parser.add_argument("--show-labels", action="store_true", help="a last column with the labels")
    parser.add_argument("--show-managed-fields", action="store_true", help="with yaml and json")
    parser.add_argument("--ignore-not-found", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    server = connect(arguments)
    wanted = _wanted(arguments, Resources(server))
    if arguments.watch and len(wanted) != 1:
        raise CommandError("you may only watch a single resource type at a time")
    if arguments.output and arguments.output != "wide":
        return _print_whole(arguments, server, wanted)
    return _print_tables(arguments, server, wanted)


def _wanted(arguments: argparse.Namespace, resources: Resources) -> list[tuple[Target, str | None]]:
    """What to get, each with the namespace its manifest names."""
    if not arguments.filename:
        return [(target, None) for target in targets(resources, arguments.resources)]
    manifests = read_manifests(arguments.filename, recursive=arguments.recursive)
    return [
        (Target(resources.of_kind(item.api_version, item.kind), (item.name,)), item.namespace or None)
        for item in manifests
    ]


def _requests(arguments: argparse.Namespace, server: Server, target: Target, namespace: str | None) -> list[str]:
    """The paths to ask for: the collection, or each named object."""
    scope = flags.namespace_of(arguments, server) if namespace is None else namespace
    if target.names and not scope and target.resource.namespaced:
        raise CommandError("a resource cannot be retrieved by name across all namespaces")
    return [target.resource.path(scope, name) for name in target.names] or [target.resource.path(scope)]


def _fetch(arguments: argparse.Namespace, server: Server, path: str, accept: str, named: bool) -> Any:
    query = {} if named else {"limit": CHUNK, **flags.selector_query(arguments)}
    if accept == TABLE and arguments.show_labels:
        query["includeObject"] = "Metadata"
    answer = server.get(path, query, accept=accept)
    more = answer["metadata"].get("continue") if not named else None
    while more:
        page = server.get(path, {**query, "continue": more}, accept=accept)
        for field in ("rows", "items"):
            if field in answer:
                answer[field].extend(page.get(field) or [])
        more = page["metadata"].get("continue")
    return answer


def _print_tables(arguments: argparse.Namespace, server: Server, wanted: Sequence[tuple[Target, str | None]]) -> int:
    printed = failures = 0
    printer = TablePrinter(headers=not arguments.no_headers)
    prefix = len({target.resource.label for target, _ in wanted}) > 1
    for target, namespace in wanted:
        if prefix:
            printer = TablePrinter(headers=not arguments.no_headers)
        for path in _requests(arguments, server, target, namespace):
            try:
                table = _fetch(arguments, server, path, TABLE, bool(target.names))
            except ServerError as error:
                if not (error.code == 404 and arguments.ignore_not_found):
                    failures += 1
                    print(error, file=sys.stderr)
                continue
            lines = _table_lines(arguments, target.resource, table, printer, prefix)
            if lines and prefix and printed:
                print()
            printed += len(lines)
            print("\n".join(lines), end="\n" if lines else "", flush=True)
            if arguments.watch:
                _watch(arguments, server, target, path, table, printer)
    if not printed and not failures and not arguments.ignore_not_found:
        namespace = flags.namespace_of(arguments, server)
        scoped = any(target.resource.namespaced for target, _ in wanted)
        where = f" in {namespace} namespace." if namespace and scoped else ""
        print(f"No resources found{where}", file=sys.stderr)
    return 1 if failures else 0


def _table_lines(
    arguments: argparse.Namespace, resource: ResourceType, table: Any, printer: TablePrinter, prefix: bool
) -> list[str]:
    rows = table.get("rows") or []
    if not rows:
        return []
    columns = table.get("columnDefinitions") or []
    shown = [
        number for number, column in enumerate(columns) if arguments.output == "wide" or not column.get("priority")
    ]
    with_namespace = resource.namespaced and getattr(arguments, "all_namespaces", False)
    header = [columns[number]["name"].upper() for number in shown]
    lines = []
    for row in rows:
        cells = [cell_text(row["cells"][number]) for number in shown]
        if prefix:
            cells[0] = f"{resource.label}/{cells[0]}"
        metadata = (row.get("object") or {}).get("metadata") or {}
        if with_namespace:
            cells.insert(0, metadata.get("namespace", ""))
        if arguments.show_labels:
            labels = metadata.get("labels") or {}
            cells.append(",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>")
        lines.append(cells)
    full = ["NAMESPACE"] * with_namespace + header + ["LABELS"] * arguments.show_labels
    return printer.lines(full if columns else [], lines)


def _watch(
    arguments: argparse.Namespace, server: Server, target: Target, path: str, table: Any, printer: TablePrinter
) -> None:
    """Print every change until the server ends the watch or the user does."""
    query = {**flags.selector_query(arguments), "resourceVersion": table["metadata"].get("resourceVersion", "")}
    collection = path
    if target.names:
        collection = path.rpartition("/")[0]
        query["fieldSelector"] = f"metadata.name={target.names[0]}"
    columns = table.get("columnDefinitions") or []
    for event in server.watch(collection, query, accept=TABLE):
        changed = event["object"]
        if event["type"] == "BOOKMARK":
            continue
        columns = changed.get("columnDefinitions") or columns
        lines = _table_lines(
            arguments, target.resource, {**changed, "columnDefinitions": columns}, printer, prefix=False
        )
        print("\n".join(lines), flush=True)


def _print_whole(arguments: argparse.Namespace, server: Server, wanted: Sequence[tuple[Target, str | None]]) -> int:
    found: list[tuple[ResourceType, dict[str, Any]]] = []
    failures = 0
    for target, namespace in wanted:
        for path in _requests(arguments, server, target, namespace):
            try:
                answer = _fetch(arguments, server, path, "application/json", bool(target.names))
            except ServerError as error:
                if not (error.code == 404 and arguments.ignore_not_found):
                    failures += 1
                    print(error, file=sys.stderr)
                continue
            items = [answer] if target.names else answer["items"]
            typed = {"apiVersion": target.resource.api_version, "kind": target.resource.kind}
            found.extend((target.resource, {**typed, **item}) for item in items)
    single = len(wanted) == 1 and len(wanted[0][0].names) == 1
    if found or not single:
        print_objects(found, arguments.output, single=single, managed_fields=arguments.show_managed_fields)
    return 1 if failures else 0
