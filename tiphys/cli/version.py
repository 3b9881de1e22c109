"""`tiphys version`: this command's version and the server's."""

from __future__ import annotations

import argparse

from tiphys import __version__
from tiphys.cli import flags
from tiphys.cli.server import connect


def configure(parser: argparse.ArgumentParser) -> None:
    flags.add_connection(parser)
    parser.add_argument("--client", action="store_true", help="do not ask the server")


def run(arguments: argparse.Namespace) -> int:
    print(f"Client Version: {__version__}", flush=True)
    if not arguments.client:
        print(f"Server Version: {connect(arguments).get('/version')['gitVersion']}")
    return 0
