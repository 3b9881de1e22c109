"""`tiphys get`: tables as the server prints them, or the objects themselves as YAML, JSON, names or JSONPath.

Everything is asked for first and printed then, because the kinds that were found decide how rows are named.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tiphys.cli import flags
from tiphys.cli.errors import CommandError, ServerError
from tiphys.cli.gettable import TABLE, TableView
from tiphys.cli.parser import count
from tiphys.cli.resources import Resources, ResourceType, Target, targets
from tiphys.cli.server import Server, connect


class Wanted(NamedTuple):
    """One request: a collection, or one object of it."""

    resource: ResourceType
    namespace: str
    name: str

    @property
    def path(self) -> str:
        return self.resource.path(self.namespace, self.name)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("resources", nargs="*", metavar="TYPE [NAME ...] | TYPE/NAME")
    flags.add_filename(parser)
    flags.add_connection(parser)
    flags.add_namespace(parser, all_namespaces=True)
    flags.add_selectors(parser)
    parser.add_argument("-o", "--output", default="", metavar="FORMAT", help="wide, yaml, json, name, jsonpath=...")
    parser.add_argument("-w", "--watch", action="store_true", help="go on printing what changes")
    parser.add_argument("--watch-only", action="store_true", help="print only what changes from now on")
    parser.add_argument("--no-headers", action="store_true")
    parser.add_argument("--show-labels", action="store_true", help="a last column with the labels")
    parser.add_argument("-L", "--label-columns", action="append", default=[], metavar="KEY,...", help="a column each")
    parser.add_argument("--show-kind", action="store_true", help="the kind before each name")
    parser.add_argument("--show-managed-fields", action="store_true", help="with yaml and json")
    parser.add_argument("--sort-by", default="", metavar="JSONPATH", help="such as .metadata.creationTimestamp")
    parser.add_argument("--chunk-size", type=count, default=500, metavar="N", help="objects per request; 0: all")
    parser.add_argument("--ignore-not-found", action="store_true")
    parser.add_argument("--raw", default="", metavar="PATH", help="print what the server answers to this path")


def run(arguments: argparse.Namespace) -> int:
    show = None
    if arguments.output and arguments.output != "wide":
        from tiphys.cli.output import printer

        show = printer(arguments.output, managed_fields=arguments.show_managed_fields, headers=not arguments.no_headers)
    server = connect(arguments)
    if arguments.raw:
        return _raw(server, arguments.raw)
    wanted = list(_wanted(arguments, server))
    if arguments.watch or arguments.watch_only:
        from tiphys.cli.getwatch import follow

        return follow(arguments, server, wanted, show)
    answers, errors = _ask(arguments, server, wanted, "application/json" if show else TABLE)
    if show is not None:
        found = [(item.resource, obj) for item, answer in answers for obj in objects_of(item, answer)]
        single = len(wanted) == 1 and bool(wanted[0].name)
        _sort(arguments.sort_by, found)
        if found or not single:
            sys.stdout.write(show(found, single))
    else:
        _print_tables(arguments, server, answers, quiet=bool(errors))
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


def _raw(server: Server, path: str) -> int:
    if not path.startswith("/"):
        raise CommandError("--raw wants a path that begins with /")
    response = server.stream(path, {}, accept="*/*")
    while piece := response.read1():
        sys.stdout.buffer.write(piece)
    return 0


def _wanted(arguments: argparse.Namespace, server: Server) -> Iterator[Wanted]:
    resources = Resources(server)
    scope = flags.namespace_of(arguments, server)
    if arguments.filename:
        from tiphys.cli.manifests import read_manifests

        for manifest in read_manifests(arguments.filename, recursive=arguments.recursive):
            resource = resources.of_kind(manifest.api_version, manifest.kind)
            yield Wanted(resource, manifest.namespace or flags.namespace_of(arguments, server), manifest.name)
        return
    for target in targets(resources, arguments.resources):
        yield from _requests(arguments, target, scope)


def _requests(arguments: argparse.Namespace, target: Target, scope: str) -> Iterator[Wanted]:
    if target.names and not scope and target.resource.namespaced:
        raise CommandError("a resource cannot be retrieved by name across all namespaces")
    if target.names and flags.selector_query(arguments):
        raise CommandError("name cannot be provided when a selector is specified")
    for name in target.names or ("",):
        yield Wanted(target.resource, scope, name)


def _ask(
    arguments: argparse.Namespace, server: Server, wanted: Sequence[Wanted], accept: str
) -> tuple[list[tuple[Wanted, Any]], list[ServerError]]:
    answers, errors = [], []
    for item in wanted:
        try:
            answers.append((item, fetch(arguments, server, item, accept)))
        except ServerError as error:
            if not (error.code == 404 and arguments.ignore_not_found):
                errors.append(_explained(arguments, item, error))
    return answers, errors


def fetch(arguments: argparse.Namespace, server: Server, item: Wanted, accept: str) -> Any:
    """The object, the list with all its pages, or the Table of either."""
    query = {} if item.name else flags.selector_query(arguments)
    if accept == TABLE and (arguments.show_labels or arguments.label_columns or arguments.sort_by):
        query["includeObject"] = "Object" if arguments.sort_by else "Metadata"
    if item.name:
        return server.get(item.path, query, accept=accept)
    if arguments.chunk_size > 0:
        query["limit"] = str(arguments.chunk_size)
    answer = server.get(item.path, query, accept=accept)
    more = answer["metadata"].get("continue")
    while more:
        page = server.get(item.path, {**query, "continue": more}, accept=accept)
        for field in ("rows", "items"):
            if field in answer:
                answer[field].extend(page.get(field) or [])
        more = page["metadata"].get("continue")
    return answer


def _explained(arguments: argparse.Namespace, item: Wanted, error: ServerError) -> ServerError:
    """A refused list says what was asked for, as kubectl says it."""
    if item.name or error.reason not in ("BadRequest", "NotFound"):
        return error
    kind = f'"{item.resource.api_version if item.resource.group else "/v1"}, Resource={item.resource.plural}"'
    message = error.status.get("message", "")
    if not flags.selector_query(arguments):
        return error.reworded(f"Unable to list {kind}: {message}")
    return error.reworded(
        f'Unable to find {kind} that match label selector "{arguments.selector}", '
        f'field selector "{arguments.field_selector}": {message}'
    )


def objects_of(item: Wanted, answer: Any) -> list[dict[str, Any]]:
    """The objects of an answer; items of a list get the apiVersion and kind that lists leave out."""
    typed = {"apiVersion": item.resource.api_version, "kind": item.resource.kind}
    return [{**typed, **obj} for obj in ([answer] if item.name else answer["items"])]


def _sort(path: str, found: list[tuple[ResourceType, dict[str, Any]]]) -> None:
    if path:
        from tiphys.cli.jsonpath import sort_key

        found.sort(key=lambda pair: sort_key(path, pair[1]))


def _print_tables(
    arguments: argparse.Namespace, server: Server, answers: Sequence[tuple[Wanted, Any]], *, quiet: bool
) -> None:
    with_kind = arguments.show_kind or len({item.resource.label for item, _ in answers}) > 1
    several = len({item.resource.label for item, _ in answers}) > 1
    view = TableView(arguments)
    printed = False
    for item, table in answers:
        if several:
            view = TableView(arguments)
        lines = view.lines(item.resource, table, with_kind=with_kind)
        if lines:
            print(("\n" if several and printed else "") + "\n".join(lines))
            printed = True
    if not printed and not quiet and not arguments.ignore_not_found:
        namespaced = all(item.resource.namespaced for item, _ in answers)
        scope = flags.namespace_of(arguments, server)
        print(f"No resources found{f' in {scope} namespace.' if scope and namespaced else ''}", file=sys.stderr)
