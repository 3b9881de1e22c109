"""`tiphys apply -f`: a server-side apply of every object, with our own field manager.

All manifests are read and all kinds are known before the first one is sent.  A refusal of one object does not stop the
others; the end says how many were applied, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tiphys.cli import flags
from tiphys.cli.errors import CommandError, ConnectionFailed, ServerError
from tiphys.cli.manifests import Manifest, read_manifests
from tiphys.cli.resources import Resources, ResourceType
from tiphys.cli.server import Server, connect

if TYPE_CHECKING:
    from tiphys.cli.output import Found

APPLY = "application/apply-patch+yaml"
VALIDATION = {"strict": "Strict", "true": "Strict", "warn": "Warn", "ignore": "Ignore", "false": "Ignore"}
NOTES = {"none": "", "client": " (dry run)", "server": " (server dry run)"}
CONFLICT_ADVICE = "To take these fields over use --force-conflicts; to leave them alone remove them from the manifest."


def configure(parser: argparse.ArgumentParser) -> None:
    flags.add_filename(parser)
    flags.add_connection(parser)
    flags.add_namespace(parser)
    parser.add_argument("--dry-run", choices=tuple(NOTES), default="none", help="change nothing; server: ask it")
    parser.add_argument("--field-manager", default="tiphys", metavar="NAME", help="who owns the applied fields")
    parser.add_argument("--force-conflicts", action="store_true", help="take fields that other managers own")
    parser.add_argument("--server-side", action="store_true", help="as always; prints kubectl's word for it")
    parser.add_argument("--validate", choices=tuple(VALIDATION), default="strict", help="unknown and repeated fields")
    parser.add_argument("-o", "--output", default="", metavar="FORMAT", help="name, yaml, json, jsonpath=...")


def run(arguments: argparse.Namespace) -> int:
    if not arguments.filename:
        raise CommandError("must specify one of -f and -k")
    show = None
    if arguments.output:
        from tiphys.cli.output import printer

        show = printer(arguments.output)
    manifests = _manifests(arguments)
    server = connect(arguments)
    resources = Resources(server)
    known = [(manifest, _resource(resources, manifest)) for manifest in manifests]
    applied: list[Found] = []
    for manifest, resource in known:
        try:
            obj, outcome = _apply(arguments, server, manifest, resource)
        except CommandError as error:
            print(f"{manifest.place}: {error}", file=sys.stderr)
            if isinstance(error, ConnectionFailed):
                break
            continue
        applied.append((resource, obj))
        if show is None:
            print(f"{resource.label}/{manifest.name} {outcome}{NOTES[arguments.dry_run]}", flush=True)
    if show is not None and applied:
        sys.stdout.write(show(applied, len(applied) == 1))
    if len(applied) < len(known) and len(known) > 1:
        print(f"error: {len(applied)} of {len(known)} objects applied", file=sys.stderr)
    return 0 if len(applied) == len(known) else 1


def _manifests(arguments: argparse.Namespace) -> Sequence[Manifest]:
    """What is to be applied.  A repeated key is an error, a warning or nothing, as --validate says."""
    repeated: list[str] = []
    manifests = read_manifests(arguments.filename, recursive=arguments.recursive, repeated=repeated)
    directive = VALIDATION[arguments.validate]
    if repeated and directive == "Strict":
        raise CommandError("\n".join([f"nothing was applied: {repeated[0]}", *repeated[1:]]))
    if directive == "Warn":
        for problem in repeated:
            print(f"Warning: {problem}", file=sys.stderr)
    return manifests


def _resource(resources: Resources, manifest: Manifest) -> ResourceType:
    try:
        resource = resources.of_kind(manifest.api_version, manifest.kind)
    except (ServerError, ConnectionFailed):
        raise
    except CommandError as error:
        raise CommandError(f"nothing was applied: {manifest.place}: {error}") from error
    if not manifest.name:
        raise CommandError(
            f"nothing was applied: {manifest.place}: metadata.name is not set; resource name may not be empty"
        )
    return resource


def _apply(
    arguments: argparse.Namespace, server: Server, manifest: Manifest, resource: ResourceType
) -> tuple[dict[str, Any], str]:
    """The applied object and created, configured or unchanged."""
    if resource.namespaced and arguments.namespace and manifest.namespace not in ("", arguments.namespace):
        raise CommandError(
            f'the namespace from the provided object "{manifest.namespace}" does not match the namespace '
            f"\"{arguments.namespace}\". You must pass '--namespace={manifest.namespace}' to perform this operation."
        )
    wanted = manifest.object
    namespace = (manifest.namespace or flags.namespace_of(arguments, server)) if resource.namespaced else ""
    if namespace:
        wanted = {**wanted, "metadata": {**wanted["metadata"], "namespace": namespace}}
    path = resource.path(namespace, manifest.name)
    before = _revision(server, path)
    if arguments.dry_run == "client":
        return wanted, "created" if before is None else "configured"
    query = {
        "fieldManager": arguments.field_manager,
        "fieldValidation": VALIDATION[arguments.validate],
        "force": "true" if arguments.force_conflicts else "false",
    }
    if arguments.dry_run == "server":
        query["dryRun"] = "All"
    try:
        code, applied = server.json("PATCH", path, query, wanted, content_type=APPLY)
    except ServerError as error:
        if error.reason == "Conflict":
            raise error.reworded(f"{error.status.get('message')}\n{CONFLICT_ADVICE}") from error
        raise
    after = applied["metadata"].get("resourceVersion", "")
    outcome = "created" if code == 201 or before is None else "unchanged" if before == after else "configured"
    return applied, "serverside-applied" if arguments.server_side else outcome


def _revision(server: Server, path: str) -> str | None:
    """The object's resourceVersion; None when it does not exist."""
    try:
        version: str = server.get(path)["metadata"]["resourceVersion"]
    except ServerError as error:
        if error.code == 404:
            return None
        raise
    return version
