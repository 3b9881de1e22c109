"""`tiphys delete`: by manifest, by name, by label or all of a kind; waits until the objects are gone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from tiphys.cli import flags
from tiphys.cli.duration import seconds
from tiphys.cli.errors import CommandError, ServerError
from tiphys.cli.parser import BOOLEAN, count
from tiphys.cli.resources import Resources, ResourceType, targets
from tiphys.cli.server import Server, connect
from tiphys.clock import SystemClock

NOTES = {"none": "", "client": " (dry run)", "server": " (server dry run)"}
FORCE_WARNING = (
    "Immediate deletion does not wait for confirmation that the running resource has been terminated. "
    "The resource may continue to run on the cluster indefinitely."
)
CASCADES = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("resources", nargs="*", metavar="TYPE [NAME ...] | TYPE/NAME")
    flags.add_filename(parser)
    flags.add_connection(parser)
    flags.add_namespace(parser, all_namespaces=True)
    flags.add_selectors(parser)
    parser.add_argument("--all", action="store_true", help="all objects of the type")
    parser.add_argument("--cascade", choices=sorted(CASCADES), default="background", help="what happens to dependents")
    parser.add_argument("--grace-period", type=count, default=-1, metavar="SECONDS", help="-1: the object's own")
    parser.add_argument("--force", action="store_true", help="with --grace-period=0: do not wait for the node")
    parser.add_argument("--now", action="store_true", help="the same as --grace-period=1")
    parser.add_argument("--ignore-not-found", action="store_true")
    parser.add_argument("--wait", default="true", choices=BOOLEAN, help="until the objects are gone")
    parser.add_argument("--timeout", type=seconds, default=0.0, metavar="DURATION", help="0: as long as it takes")
    parser.add_argument("--dry-run", choices=tuple(NOTES), default="none", help="delete nothing")
    parser.add_argument("-o", "--output", default="", choices=("", "name"), metavar="FORMAT", help="name")


Found = tuple[ResourceType, str, str]  # type, namespace, name


def run(arguments: argparse.Namespace) -> int:
    if arguments.force:
        print(f"Warning: {FORCE_WARNING}", file=sys.stderr)
    server = connect(arguments)
    failures = 0
    found_any = False
    deleted: list[tuple[Found, str]] = []
    for found in _found(arguments, server):
        found_any = True
        try:
            uid = _delete(arguments, server, found)
        except ServerError as error:
            if not (error.code == 404 and (arguments.ignore_not_found or arguments.all)):
                failures += 1
                print(_placed(arguments, error), file=sys.stderr)
            continue
        print(_line(arguments, found), flush=True)
        deleted.append((found, uid))
    if not found_any:
        print("No resources found")
    if arguments.wait == "true" and not arguments.force and arguments.dry_run == "none":
        _wait_until_gone(server, deleted, arguments.timeout)
    return 1 if failures else 0


def _delete(arguments: argparse.Namespace, server: Server, found: Found) -> str:
    """The uid of what was deleted; "" where the answer does not say."""
    resource, namespace, name = found
    path = resource.path(namespace, name)
    if arguments.dry_run == "client":
        return str(server.get(path)["metadata"]["uid"])
    query = {"dryRun": "All"} if arguments.dry_run == "server" else None
    answer = server.json("DELETE", path, query, _options(arguments))[1]
    return str((answer.get("details") or {}).get("uid") or (answer.get("metadata") or {}).get("uid", ""))


def _line(arguments: argparse.Namespace, found: Found) -> str:
    resource, namespace, name = found
    if arguments.output == "name":
        return f"{resource.label}/{name}"
    where = f" from {namespace} namespace" if resource.namespaced else ""
    verb = "force deleted" if arguments.force else "deleted"
    return f'{resource.label} "{name}" {verb}{where}{NOTES[arguments.dry_run]}'


def _placed(arguments: argparse.Namespace, error: ServerError) -> ServerError:
    """With one manifest, which one it was."""
    if not arguments.filename or len(arguments.filename) > 1:
        return error
    return error.reworded(f'error when deleting "{arguments.filename[0]}": {error.status.get("message", "")}')


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
        from tiphys.cli.manifests import read_manifests

        for manifest in read_manifests(arguments.filename, recursive=arguments.recursive):
            resource = resources.of_kind(manifest.api_version, manifest.kind)
            yield resource, (manifest.namespace or default_namespace) if resource.namespaced else "", manifest.name
        return
    if not arguments.resources:
        raise CommandError("You must provide one or more resources by argument or filename.")
    selected = arguments.all or arguments.selector or arguments.field_selector
    for target in targets(resources, arguments.resources):
        namespace = default_namespace if target.resource.namespaced else ""
        if target.names and selected:
            raise CommandError("name cannot be provided when a selector is specified")
        if target.names:
            if target.resource.namespaced and not namespace:
                raise CommandError("a resource cannot be retrieved by name across all namespaces")
            for name in target.names:
                yield target.resource, namespace, name
        elif selected:
            answer = server.get(target.resource.path(namespace), flags.selector_query(arguments))
            for item in answer["items"]:
                yield target.resource, item["metadata"].get("namespace", ""), item["metadata"]["name"]
        else:
            raise CommandError("resource(s) were provided, but no name was specified")


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
