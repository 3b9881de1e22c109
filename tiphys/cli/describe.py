"""`tiphys describe`: one object in detail, with its events, laid out as kubectl lays it out."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tiphys.cli import flags
from tiphys.cli.describers import describe_object
from tiphys.cli.errors import ServerError
from tiphys.cli.events import last_seen
from tiphys.cli.resources import Resources, ResourceType, targets
from tiphys.cli.server import Server, connect
from tiphys.cli.table import align
from tiphys.clock import SystemClock


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("resources", nargs="+", metavar="TYPE [NAME ...] | TYPE/NAME")
    flags.add_connection(parser)
    flags.add_namespace(parser, all_namespaces=True)
    flags.add_selectors(parser)


def run(arguments: argparse.Namespace) -> int:
    server = connect(arguments)
    scope = flags.namespace_of(arguments, server)
    failures = printed = 0
    for target in targets(Resources(server), arguments.resources):
        try:
            if target.names:
                found = [server.get(target.resource.path(scope, name)) for name in target.names]
            else:
                found = server.get(target.resource.path(scope), flags.selector_query(arguments))["items"]
        except ServerError as error:
            failures += 1
            print(error, file=sys.stderr)
            continue
        for obj in found:
            if printed:
                print("\n")
            lines = describe_object(server, target.resource, obj, SystemClock())
            print("\n".join(align([*lines, *_events(server, target.resource, obj)])))
            printed += 1
    if not printed and not failures:
        print(f"No resources found{f' in {scope} namespace.' if scope else ''}", file=sys.stderr)
    return 1 if failures else 0


def _events(server: Server, resource: ResourceType, obj: dict[str, Any]) -> list[str]:
    from tiphys.cli.events import event_row

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
        lines.append(f"  {kind}\t{reason}\t{age}\t{source}\t{message}")
    return lines
