"""The entry point: find the verb, import only its file, run it.

Every verb's module has `configure(parser)` and `run(arguments) -> exit code`.  Only the chosen verb is
imported, so that `tiphys get` does not pay for `tiphys up`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from tiphys.cli.errors import CommandError

VERBS = {
    "up": "start a cluster on this machine",
    "down": "stop the cluster on this machine",
    "join": "make this machine a node of a cluster elsewhere",
    "token": "create, list or delete the tokens that machines join with",
    "status": "show whether the cluster's parts run",
    "apply": "make the cluster look like the manifests",
    "get": "show objects",
    "describe": "show objects in detail, with their events",
    "delete": "delete objects",
    "logs": "print the logs of a container",
    "exec": "run a program in a container",
    "events": "list events",
    "version": "print the versions of the command and the server",
}


def usage() -> str:
    lines = [f"  {name:<10} {summary}" for name, summary in VERBS.items()]
    head = "A Kubernetes that one person can read.\n\nUsage: tiphys VERB [flags] [arguments]\n"
    return "\n".join([head, *lines, "", "tiphys VERB --help says more about a verb."])


def _run(words: Sequence[str]) -> int:
    from tiphys.cli.parser import CommandParser, split_verb

    verb, rest = split_verb(words)
    if not verb or verb == "help":
        print(usage())
        return 0
    if verb not in VERBS:
        raise CommandError(f'unknown command "{verb}" for "tiphys"\n\n{usage()}')
    module = importlib.import_module(f"tiphys.cli.{verb}")
    parser = CommandParser(f"tiphys {verb}", VERBS[verb][0].upper() + VERBS[verb][1:] + ".")
    module.configure(parser)
    code: int = module.run(parser.read(rest))
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.  Exit codes: 0 done, 1 error, 130 interrupted.

    As a program of its own (no `arguments`) it leaves without taking the interpreter apart, which would be a sixth of
    a short command's time."""
    code = _outcome(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        sys.stderr.flush()
        os._exit(code)
    return code


def _outcome(words: Sequence[str]) -> int:
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except CommandError as error:
        sys.stdout.flush()
        print(f"{error.prefix}{error}", file=sys.stderr)
        return error.exit_code
    except SystemExit as stop:  # argparse after --help
        sys.stdout.flush()
        return stop.code if isinstance(stop.code, int) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone (`tiphys get | head`): not an error, but Python would report it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    main()
