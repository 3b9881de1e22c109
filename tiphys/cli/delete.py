"""`tiphys delete`: by manifest, by name, by label or all of a kind; waits until the objects are gone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from tiphys.cli import flags
from tiphys.cli.errors import CommandError, ServerError
from tiphys.cli.manifests import read_manifests
from tiphys.cli.resources import Resources, ResourceType, targets
from tiphys.cli.server import Server, connect
from tiphys.clock import SystemClock

CASCADES = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("resources", nargs="*", metavar="TYPE [NAME ...] | TYPE/NAME")
    flags.add_filename(parser)
    flags.add_connection(parser)
    flags.add_namespace(parser, all_namespaces=True)
    flags.add_selectors(parser)
    parser.add_argument("--all", action="store_true", help="all objects of the type")
    parser.add_argument("--cascade", choices=sorted(CASCADES), default="background", help="what happens to dependents")
    parser.add_argument("--grace-period", type=int, default=-1, metavar="SECONDS", help="-1: the object's own")
    parser.add_argument("--force", action="store_true", help="with --grace-period=0: do not wait for the node")
    parser.add_argument("--now", action="store_true", help="the same as --grace-period=1")
    parser.add_argument("--ignore-not-found", action="store_true")
    parser.add_argument("--wait", default="true", choices=("true", "false"), help="until the objects are gone")
    parser.add_argument("--timeout", type=float, default=0.0, metavar="SECONDS", help="0: as long as it takes")


Found = tuple[ResourceType, str, str]  # type, namespace, name


def run(arguments: argparse.Namespace) -> int:
    server = connect(arguments)
    failures = 0
    deleted: list[tuple[Found, str]] = []
    for found in _found(arguments, server):
        resource, namespace, name = found
        try:
            answer = server.json("DELETE", resource.path(namespace, name), None, _options(arguments))[1]
        except ServerError as error:
            if not (error.code == 404 and arguments.ignore_not_found):
                failures += 1
                print(error, file=sys.stderr)
            continue
        where = f" from {namespace} namespace" if resource.namespaced else ""
        verb = "force deleted" if arguments.force else "deleted"
        print(f'{resource.label} "{name}" {verb}{where}', flush=True)
        uid = (answer.get("details") or {}).get("uid") or answer.get("metadata", {}).get("uid", "")
        deleted.append((found, uid))
    if not deleted and not failures:
        print("No resources found", file=sys.stderr)
    if arguments.wait == "true" and not arguments.force:
        _wait_until_gone(server, deleted, arguments.timeout)
    return 1 if failures else 0


def _options(arguments: argparse.Namespace) -> dict[str, object]:
    options: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": CASCADES[arguments.cascade],
    }
    grace = 1 if arguments.now else 0 if arguments.force and arguments.grace_period < 0 else arguments.grace_period
    if grace == 0 and not arguments.force:
        grace = 1  # zero without --force still waits for the node, as kubectl does
    if grace >= 0:
        options["gracePeriodSeconds"] = grace
    return options


def _found(arguments: argparse.Namespace, server: Server) -> Iterator[Found]:
    """What is to be deleted."""
    resources = Resources(server)
    default_namespace = flags.namespace_of(arguments, server)
    if arguments.filename:
        for manifest in read_manifests(arguments.filename, recursive=arguments.recursive):
            resource = resources.of_kind(manifest.api_version, manifest.kind)
            yield resource, (manifest.namespace or default_namespace) if resource.namespaced else "", manifest.name
        return
    selected = arguments.all or arguments.selector or arguments.field_selector
    for target in targets(resources, arguments.resources):
        namespace = default_namespace if target.resource.namespaced else ""
        if target.names and selected:
            raise CommandError("name cannot be provided when a selector or --all is specified")
        if target.names:
            if target.resource.namespaced and not namespace:
                raise CommandError("a resource cannot be deleted by name across all namespaces")
            for name in target.names:
                yield target.resource, namespace, name
        elif selected:
            answer = server.get(target.resource.path(namespace), flags.selector_query(arguments))
            for item in answer["items"]:
                yield target.resource, item["metadata"].get("namespace", ""), item["metadata"]["name"]
        else:
            raise CommandError("resource(s) were provided, but no name was specified; use a name, -l or --all")


def _wait_until_gone(server: Server, deleted: list[tuple[Found, str]], timeout_seconds: float) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + timeout_seconds if timeout_seconds else None
    for (resource, namespace, name), uid in deleted:
        while True:
            try:
                obj = server.get(resource.path(namespace, name))
            except ServerError as error:
                if error.code == 404:
                    break
                raise
            if uid and obj["metadata"]["uid"] != uid:
                break
            _next_change(server, resource, namespace, obj)
            if deadline is not None and clock.monotonic() > deadline:
                raise CommandError(f"timed out waiting for {resource.label}/{name} to be deleted")


def _next_change(server: Server, resource: ResourceType, namespace: str, obj: dict[str, dict[str, str]]) -> None:
    """Return when the object changes or a second has passed."""
    query = {
        "fieldSelector": f"metadata.name={obj['metadata']['name']}",
        "resourceVersion": obj["metadata"]["resourceVersion"],
        "timeoutSeconds": "1",
    }
    for _ in server.watch(resource.path(namespace), query):
        return
