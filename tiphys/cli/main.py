"""The entry point: find the verb, import only its file, run it.

Every verb's module has `configure(parser)` and `run(arguments) -> exit code`.  Only the chosen verb is
imported, so that `tiphys get` does not pay for `tiphys up`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from tiphys.cli.errors import CommandError

VERBS = {
    "up": "start a cluster on this machine",
    "down": "stop the cluster on this machine",
    "status": "show whether the cluster's parts run",
    "apply": "make the cluster look like the manifests",
    "get": "show objects",
    "describe": "show objects in detail, with their events",
    "delete": "delete objects",
    "logs": "print the logs of a container",
    "events": "list events",
    "version": "print the versions of the command and the server",
}


def _parser(verb: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tiphys", description="A Kubernetes that one person can read.")
    commands = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, summary in VERBS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == verb:
            module = importlib.import_module(f"tiphys.cli.{name}")
            module.configure(command)
            command.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.  Exit codes: 0 done, 1 error, 130 interrupted; argparse's 2 for a wrong command line."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    verb = next((word for word in words if not word.startswith("-")), None)
    parsed = _parser(verb).parse_args(words)
    try:
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except CommandError as error:
        print(f"{error.prefix}{error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone (`tiphys get | head`): not an error, but Python would report it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
