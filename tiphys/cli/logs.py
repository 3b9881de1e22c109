"""`tiphys logs`: the output of a container, once or as it comes."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tiphys.api.selectors import from_label_selector
from tiphys.cli import flags
from tiphys.cli.errors import CommandError
from tiphys.cli.resources import Resources, targets
from tiphys.cli.server import Server, connect

PIECE_BYTES = 64 * 1024


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="POD | TYPE/NAME")
    parser.add_argument("container_name", nargs="?", default="", metavar="CONTAINER")
    flags.add_connection(parser)
    flags.add_namespace(parser)
    parser.add_argument("-c", "--container", default="", metavar="NAME")
    parser.add_argument("-f", "--follow", action="store_true", help="go on printing what is written")
    parser.add_argument("-p", "--previous", action="store_true", help="of the container's previous instance")
    parser.add_argument("--all-containers", action="store_true")
    parser.add_argument("--tail", type=int, default=-1, metavar="LINES", help="-1: everything")
    parser.add_argument("--since", default="", metavar="DURATION", help="such as 5s, 2m, 3h")
    parser.add_argument("--since-time", default="", metavar="TIME", help="RFC 3339")
    parser.add_argument("--limit-bytes", type=int, default=0, metavar="N")
    parser.add_argument("--timestamps", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    server = connect(arguments)
    namespace = flags.namespace_of(arguments, server)
    pod = _pod(server, namespace, arguments.target)
    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/log"
    query = _query(arguments)
    for container in _containers(arguments, pod):
        _copy(server, path, {**query, "container": container} if container else query)
    return 0


def _query(arguments: argparse.Namespace) -> dict[str, str]:
    query: dict[str, str] = {}
    if arguments.tail >= 0:
        query["tailLines"] = str(arguments.tail)
    if arguments.since:
        query["sinceSeconds"] = str(duration_seconds(arguments.since))
    if arguments.since_time:
        query["sinceTime"] = arguments.since_time
    if arguments.limit_bytes:
        query["limitBytes"] = str(arguments.limit_bytes)
    for name in ("follow", "previous", "timestamps"):
        if getattr(arguments, name):
            query[name] = "true"
    return query


def duration_seconds(text: str) -> int:
    """Whole seconds of 90, 5s, 2m, 3h; CommandError otherwise."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:], 0)
    number = text[:-1] if unit else text
    if not number.isdigit():
        raise CommandError(f"--since {text!r}: give a duration such as 5s, 2m or 3h")
    return int(number) * (unit or 1)


def _pod(server: Server, namespace: str, word: str) -> dict[str, Any]:
    """The pod itself, or the first pod a workload selects."""
    kind, _, name = word.partition("/")
    if not name:
        kind, name = "pods", word
    target = targets(Resources(server), [f"{kind}/{name}"])[0]
    obj: dict[str, Any] = server.get(target.resource.path(namespace, name))
    if target.resource.kind == "Pod":
        return obj
    selector = obj.get("spec", {}).get("selector")
    if not selector:
        raise CommandError(f"{target.resource.label}/{name} selects no pods; name a pod")
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        selector = {"matchLabels": selector}
    query = {"labelSelector": str(from_label_selector(selector))}
    pods = server.get(f"/api/v1/namespaces/{namespace}/pods", query)["items"]
    if not pods:
        raise CommandError(f"{target.resource.label}/{name} has no pods now")
    pods.sort(key=lambda pod: (pod["status"].get("phase") != "Running", pod["metadata"]["creationTimestamp"]))
    if len(pods) > 1:
        print(f"Found {len(pods)} pods, using pod/{pods[0]['metadata']['name']}", file=sys.stderr)
    first: dict[str, Any] = pods[0]
    return first


def _containers(arguments: argparse.Namespace, pod: dict[str, Any]) -> list[str]:
    chosen = arguments.container or arguments.container_name
    if chosen:
        return [chosen]
    names = [item["name"] for item in pod["spec"]["containers"]]
    if arguments.all_containers:
        return [item["name"] for item in pod["spec"].get("initContainers", [])] + names
    annotations = pod["metadata"].get("annotations") or {}
    default = annotations.get("kubectl.kubernetes.io/default-container")
    if default and default in names:
        return [default]
    if len(names) > 1:
        print(f'Defaulted container "{names[0]}" out of: {", ".join(names)}', file=sys.stderr)
    return names[:1]


def _copy(server: Server, path: str, query: dict[str, str]) -> None:
    response = server.stream(path, query, accept="*/*")
    while piece := response.read1(PIECE_BYTES):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
