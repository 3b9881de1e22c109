"""`tiphys logs`: the output of a container, once or as it comes."""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any
from urllib.parse import quote

from tiphys.api.selectors import from_label_selector
from tiphys.api.times import parse_time
from tiphys.cli import flags
from tiphys.cli.duration import seconds
from tiphys.cli.errors import CommandError, ServerError
from tiphys.cli.parser import count
from tiphys.cli.resources import Resources, targets
from tiphys.cli.server import Server, connect

PIECE_BYTES = 64 * 1024
SELECTOR_TAIL = 10  # lines of each pod when many are asked
_LISTS = ("containers", "initContainers", "ephemeralContainers")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="POD | TYPE/NAME [CONTAINER]")
    flags.add_connection(parser)
    flags.add_namespace(parser)
    parser.add_argument("-l", "--selector", default="", metavar="SELECTOR", help="of all pods with these labels")
    parser.add_argument("-c", "--container", default="", metavar="NAME")
    parser.add_argument("-f", "--follow", action="store_true", help="go on printing what is written")
    parser.add_argument("-p", "--previous", action="store_true", help="of the container's previous instance")
    parser.add_argument("--all-containers", action="store_true")
    parser.add_argument("--prefix", action="store_true", help="each line with the pod and container it is from")
    parser.add_argument("--tail", type=count, default=None, metavar="LINES", help="-1: everything; with -l: 10")
    parser.add_argument("--since", type=seconds, default=0.0, metavar="DURATION", help="such as 5s, 2m, 3h")
    parser.add_argument("--since-time", default="", metavar="TIME", help="RFC 3339")
    parser.add_argument("--limit-bytes", type=count, default=0, metavar="N")
    parser.add_argument("--timestamps", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    server = connect(arguments)
    namespace = flags.namespace_of(arguments, server)
    pods = _selected(server, namespace, arguments) if arguments.selector else [_pod(server, namespace, arguments)]
    query = _query(arguments)
    for pod in pods:
        name = pod["metadata"]["name"]
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}/log"
        for container in _containers(arguments, pod):
            prefix = f"[pod/{name}/{container}] ".encode() if arguments.prefix else b""
            _copy(server, path, {**query, "container": container}, prefix)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if len(arguments.words) > 2 or not (arguments.words or arguments.selector):
        raise CommandError(
            "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\n"
            "POD or TYPE/NAME is a required argument for the logs command\nSee 'tiphys logs -h' for help and examples"
        )
    if arguments.words and arguments.selector:
        raise CommandError("only a selector (-l) or a POD name is allowed")
    if len(arguments.words) == 2 and arguments.container:
        raise CommandError("only one of -c or an inline [CONTAINER] arg is allowed")
    if arguments.since and arguments.since_time:
        raise CommandError("at most one of `sinceTime` or `sinceSeconds` may be specified")
    if arguments.since < 0:
        raise CommandError("--since must be greater than 0")
    if arguments.since_time:
        try:
            parse_time(arguments.since_time)
        except ValueError as error:
            raise CommandError(
                f'--since-time "{arguments.since_time}" is not a time such as 2026-01-02T03:04:05Z'
            ) from error


def _query(arguments: argparse.Namespace) -> dict[str, str]:
    query: dict[str, str] = {}
    tail = arguments.tail if arguments.tail is not None else SELECTOR_TAIL if arguments.selector else -1
    if tail >= 0:
        query["tailLines"] = str(tail)
    if arguments.since:
        query["sinceSeconds"] = str(math.ceil(arguments.since))
    if arguments.since_time:
        query["sinceTime"] = arguments.since_time
    if arguments.limit_bytes:
        query["limitBytes"] = str(arguments.limit_bytes)
    for name in ("follow", "previous", "timestamps"):
        if getattr(arguments, name):
            query[name] = "true"
    return query


def _selected(server: Server, namespace: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods"
    pods: list[dict[str, Any]] = server.get(path, {"labelSelector": arguments.selector})["items"]
    if not pods:
        print(f"No resources found in {namespace} namespace.", file=sys.stderr)
    if arguments.follow and len(pods) > 1:
        raise CommandError(f"{len(pods)} pods match; --follow with -l follows one: name it")
    return pods


def _pod(server: Server, namespace: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The pod itself, or the first pod a workload selects."""
    word = arguments.words[0]
    kind, _, name = word.partition("/")
    if not name:
        kind, name = "pods", word
    target = targets(Resources(server), [f"{kind}/{name}"])[0]
    try:
        obj: dict[str, Any] = server.get(target.resource.path(namespace, name))
    except ServerError as error:
        if error.code != 404:
            raise
        raise CommandError(
            f'error from server ({error.reason}): {error.status.get("message")} in namespace "{namespace}"'
        ) from error
    if target.resource.kind == "Pod":
        return obj
    selector = obj.get("spec", {}).get("selector")
    if not selector:
        raise CommandError(f"cannot get the logs from {target.resource.kind}: it selects no pods; name a pod")
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
    chosen = arguments.container or "".join(arguments.words[1:])
    if chosen:
        known = [item["name"] for field in _LISTS for item in pod["spec"].get(field) or []]
        if chosen not in known:
            raise CommandError(
                f"container {chosen} is not valid for pod {pod['metadata']['name']} out of: {', '.join(known)}"
            )
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


def _copy(server: Server, path: str, query: dict[str, str], prefix: bytes) -> None:
    """The bytes as they come: what a container prints is the reader's own business."""
    response = server.stream(path, query, accept="*/*")
    if prefix:
        for line in response:
            sys.stdout.buffer.write(prefix + line)
            sys.stdout.buffer.flush()
        return
    while piece := response.read1(PIECE_BYTES):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
