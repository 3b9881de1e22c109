"""`tiphys events`: what happened, oldest first, with kubectl's columns."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from tiphys.api.times import human_duration, parse_time
from tiphys.cli import flags
from tiphys.cli.errors import CommandError
from tiphys.cli.resources import Resources
from tiphys.cli.server import connect
from tiphys.cli.table import TablePrinter, cell_text
from tiphys.clock import Clock, SystemClock

HEADER = ("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE")


def configure(parser: argparse.ArgumentParser) -> None:
    flags.add_connection(parser)
    flags.add_namespace(parser, all_namespaces=True)
    parser.add_argument("--for", dest="subject", default="", metavar="TYPE/NAME", help="only of this object")
    parser.add_argument("--types", default="", metavar="TYPE,...", help="Normal, Warning")
    parser.add_argument("-w", "--watch", action="store_true", help="go on printing what happens")
    parser.add_argument("--no-headers", action="store_true")
    parser.add_argument("-o", "--output", default="", metavar="FORMAT", help="yaml, json, name, jsonpath=...")


def run(arguments: argparse.Namespace) -> int:
    types = {item.lower() for item in arguments.types.split(",") if item}
    if types - {"normal", "warning"}:
        raise CommandError("valid --types are Normal or Warning")
    show = None
    if arguments.output:
        from tiphys.cli.output import printer

        show = printer(arguments.output)
    server = connect(arguments)
    namespace = flags.namespace_of(arguments, server)
    path = f"/api/v1/namespaces/{namespace}/events" if namespace else "/api/v1/events"
    query = {}
    if arguments.subject:
        kind, _, name = arguments.subject.partition("/")
        if not name:
            raise CommandError("--for must be in resource/name form")
        about = Resources(server).named(kind)
        query["fieldSelector"] = f"involvedObject.kind={about.kind},involvedObject.name={name}"
    answer = server.get(path, query)
    table, clock = TablePrinter(headers=not arguments.no_headers), SystemClock()
    chosen = [event for event in answer["items"] if not types or event.get("type", "").lower() in types]
    chosen.sort(key=last_seen)
    if show is not None:
        resource = Resources(server).named("events")
        typed = {"apiVersion": "v1", "kind": "Event"}
        sys.stdout.write(show([(resource, {**typed, **event}) for event in chosen], False))
        return 0
    if not chosen and not arguments.watch:
        print(f"No events found{f' in {namespace} namespace' if namespace else ''}.", file=sys.stderr)
    _print(table, chosen, clock, with_namespace=not namespace)
    if arguments.watch:
        for change in server.watch(path, {**query, "resourceVersion": answer["metadata"]["resourceVersion"]}):
            event = change["object"]
            if change["type"] in ("ADDED", "MODIFIED") and (not types or event.get("type", "").lower() in types):
                _print(table, [event], clock, with_namespace=not namespace)
    return 0


def last_seen(event: dict[str, Any]) -> str:
    """The latest time the event speaks of, RFC 3339."""
    series = event.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event["metadata"].get("creationTimestamp"),
    )
    return next((time for time in times if time), "")


def event_row(event: dict[str, Any], clock: Clock) -> list[str]:
    involved = event["involvedObject"]
    seen = last_seen(event)
    age = human_duration((clock.now() - parse_time(seen)).total_seconds()) if seen else "<unknown>"
    count = (event.get("series") or {}).get("count") or event.get("count") or 1
    first = event.get("firstTimestamp") or event.get("eventTime") or seen
    if count > 1 and first:
        since = human_duration((clock.now() - parse_time(first)).total_seconds())
        age = f"{age} (x{count} over {since})"
    subject = f"{involved.get('kind', '')}/{involved.get('name', '')}"
    return [age, event.get("type", ""), event.get("reason", ""), subject, cell_text(event.get("message", "").strip())]


def _print(printer: TablePrinter, events: Sequence[dict[str, Any]], clock: Clock, *, with_namespace: bool) -> None:
    rows = [event_row(event, clock) for event in events]
    header = list(HEADER)
    if with_namespace:
        header.insert(0, "NAMESPACE")
        for event, row in zip(events, rows, strict=True):
            row.insert(0, event["metadata"].get("namespace", ""))
    if rows:
        print("\n".join(printer.lines(header, rows)), flush=True)
