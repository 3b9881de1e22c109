"""`tiphys describe`: one object in detail, with its events, laid out as kubectl lays it out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from tiphys.cli import flags
from tiphys.cli.describers import describe_object
from tiphys.cli.errors import CommandError, ServerError
from tiphys.cli.events import event_row, last_seen
from tiphys.cli.parser import BOOLEAN
from tiphys.cli.resources import Resources, ResourceType, targets
from tiphys.cli.server import Server, connect
from tiphys.cli.table import align
from tiphys.clock import SystemClock

WITHOUT_EVENTS = ("Secret", "Namespace")
Found = tuple[ResourceType, dict[str, Any]]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("resources", nargs="*", metavar="TYPE [NAME ...] | TYPE/NAME")
    flags.add_filename(parser)
    flags.add_connection(parser)
    flags.add_namespace(parser, all_namespaces=True)
    flags.add_selectors(parser)
    parser.add_argument("--show-events", choices=BOOLEAN, help="true for a single object, else false")


def run(arguments: argparse.Namespace) -> int:
    server = connect(arguments)
    errors: list[ServerError] = []
    found = list(_found(arguments, server, errors))
    with_events = arguments.show_events == "true" if arguments.show_events else len(found) == 1
    for number, (resource, obj) in enumerate(found):
        lines = describe_object(server, resource, obj, SystemClock())
        if with_events:
            lines += _events(server, resource, obj)
        print(("\n\n" if number else "") + "\n".join(align(lines)))
    if not found and not errors:
        scope = flags.namespace_of(arguments, server)
        print(f"No resources found{f' in {scope} namespace.' if scope else ''}", file=sys.stderr)
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


def _found(arguments: argparse.Namespace, server: Server, errors: list[ServerError]) -> Iterator[Found]:
    """The objects to describe; what the server refuses goes to `errors`."""
    resources, scope = Resources(server), flags.namespace_of(arguments, server)
    if arguments.filename:
        from tiphys.cli.manifests import read_manifests

        wanted = [
            (resources.of_kind(item.api_version, item.kind), item.namespace or scope, item.name)
            for item in read_manifests(arguments.filename, recursive=arguments.recursive)
        ]
    else:
        chosen = targets(resources, arguments.resources)
        wanted = [(target.resource, scope, name) for target in chosen for name in target.names or ("",)]
    for resource, namespace, name in wanted:
        if name and not namespace and resource.namespaced:
            raise CommandError("a resource cannot be retrieved by name across all namespaces")
        try:
            for obj in _get(arguments, server, resource, namespace, name):
                yield resource, obj
        except ServerError as error:
            errors.append(error)


def _get(
    arguments: argparse.Namespace, server: Server, resource: ResourceType, namespace: str, name: str
) -> list[dict[str, Any]]:
    """The named object, or those whose names begin so; without a name what the selectors choose."""
    typed = {"apiVersion": resource.api_version, "kind": resource.kind}
    try:
        if name:
            return [server.get(resource.path(namespace, name))]
        items = server.get(resource.path(namespace), flags.selector_query(arguments))["items"]
    except ServerError as error:
        if error.code != 404 or not name or arguments.filename:
            raise
        items = server.get(resource.path(namespace))["items"]
        items = [item for item in items if item["metadata"]["name"].startswith(name)]
        if not items:
            raise
    return [{**typed, **item} for item in items]


def _events(server: Server, resource: ResourceType, obj: dict[str, Any]) -> list[str]:
    if not resource.group and resource.kind in WITHOUT_EVENTS:
        return []
    metadata = obj["metadata"]
    namespace = metadata.get("namespace", "")
    path = f"/api/v1/namespaces/{namespace}/events" if namespace else "/api/v1/events"
    terms = [f"involvedObject.kind={resource.kind}", f"involvedObject.name={metadata['name']}"]
    if resource.kind != "Node":  # a node's events carry its name where other objects' carry the uid
        terms.append(f"involvedObject.uid={metadata['uid']}")
    events = server.get(path, {"fieldSelector": ",".join(terms)})["items"]
    if not events:
        return ["Events:\t<none>"]
    clock = SystemClock()
    lines = ["Events:", "  Type\tReason\tAge\tFrom\tMessage", "  ----\t------\t----\t----\t-------"]
    for event in sorted(events, key=last_seen):
        age, kind, reason, _, message = event_row(event, clock)
        source = (event.get("source") or {}).get("component") or event.get("reportingComponent", "")
        lines.append("  " + "\t".join(text.replace("\t", " ") for text in (kind, reason, age, source, message)))
    return lines
