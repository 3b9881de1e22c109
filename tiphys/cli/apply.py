"""`tiphys apply -f`: a server-side apply of every object, with our own field manager.

All manifests are read and all kinds are known before the first one is sent.  A refusal of one object does not stop the
others; the end says how many were applied, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys

from tiphys.cli import flags
from tiphys.cli.errors import CommandError, ServerError
from tiphys.cli.manifests import Manifest, read_manifests
from tiphys.cli.resources import Resources, ResourceType
from tiphys.cli.server import Server, connect

APPLY = "application/apply-patch+yaml"


def configure(parser: argparse.ArgumentParser) -> None:
    flags.add_filename(parser)
    flags.add_connection(parser)
    flags.add_namespace(parser)
    parser.add_argument("--dry-run", choices=("none", "server"), default="none", help="server: ask, change nothing")
    parser.add_argument("--field-manager", default="tiphys", metavar="NAME", help="who owns the applied fields")
    parser.add_argument("--force-conflicts", action="store_true", help="take fields that other managers own")
    parser.add_argument("--validate", choices=("strict", "warn", "ignore"), default="strict", help="unknown fields")


def run(arguments: argparse.Namespace) -> int:
    manifests = read_manifests(arguments.filename, recursive=arguments.recursive)
    server = connect(arguments)
    resources = Resources(server)
    known = [(manifest, _resource(resources, manifest)) for manifest in manifests]
    failures = 0
    for manifest, resource in known:
        try:
            print(_apply(arguments, server, manifest, resource), flush=True)
        except CommandError as error:
            failures += 1
            print(f"{manifest.place}: {error}", file=sys.stderr)
    if failures and len(known) > 1:
        print(f"error: {len(known) - failures} of {len(known)} objects applied", file=sys.stderr)
    return 1 if failures else 0


def _resource(resources: Resources, manifest: Manifest) -> ResourceType:
    try:
        resource = resources.of_kind(manifest.api_version, manifest.kind)
    except ServerError:
        raise
    except CommandError as error:
        raise CommandError(f"{manifest.place}: {error}") from error
    if not manifest.name:
        raise CommandError(f"{manifest.place}: metadata.name is not set; apply needs a name")
    return resource


def _apply(arguments: argparse.Namespace, server: Server, manifest: Manifest, resource: ResourceType) -> str:
    if arguments.namespace and manifest.namespace and arguments.namespace != manifest.namespace:
        raise CommandError(
            f"the namespace from the provided object {manifest.namespace!r} does not match the namespace "
            f"{arguments.namespace!r}. You must pass '--namespace={manifest.namespace}' to perform this operation."
        )
    namespace = manifest.namespace or flags.namespace_of(arguments, server)
    path = resource.path(namespace, manifest.name)
    before = _revision(server, path)
    query = {
        "fieldManager": arguments.field_manager,
        "fieldValidation": arguments.validate.capitalize(),
        "force": "true" if arguments.force_conflicts else "false",
    }
    if arguments.dry_run == "server":
        query["dryRun"] = "All"
    code, applied = server.json("PATCH", path, query, manifest.object, content_type=APPLY)
    after = applied["metadata"].get("resourceVersion", "")
    outcome = "created" if code == 201 or before is None else "unchanged" if before == after else "configured"
    note = " (server dry run)" if arguments.dry_run == "server" else ""
    return f"{resource.label}/{manifest.name} {outcome}{note}"


def _revision(server: Server, path: str) -> str | None:
    """The object's resourceVersion; None when it does not exist."""
    try:
        version: str = server.get(path)["metadata"]["resourceVersion"]
    except ServerError as error:
        if error.code == 404:
            return None
        raise
    return version
