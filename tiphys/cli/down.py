"""`tiphys down`: stop the cluster of this machine and everything it runs; keep its data unless told to purge."""

from __future__ import annotations

import argparse
import os
import signal
import time
from pathlib import Path

from tiphys.cli import segments
from tiphys.cli.cluster import DEFAULT_DATA_DIR, Layout, Options
from tiphys.cli.errors import CommandError
from tiphys.clock import SystemClock

STOP_SECONDS = 60.0


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", default=DEFAULT_DATA_DIR, metavar="DIR", help="the cluster's directory")
    parser.add_argument("--purge", action="store_true", help="also delete the cluster's data and images")


def run(arguments: argparse.Namespace) -> int:
    layout = Layout(Path(arguments.data_dir).absolute())
    if not layout.root.exists():
        print(f"nothing to stop: {layout.root} does not exist")
        return 0
    options = layout.load_options()
    if options is None and any(layout.root.iterdir()):
        raise CommandError(f"{layout.root} is not a cluster's data directory; nothing was touched")
    pid = layout.supervisor_pid()
    if pid is not None:
        _stop(layout, pid)
        print("stopped the components")
    if options is not None and options.node:
        _teardown(layout, options)
        print("removed the containers, their mounts and their network")
        if options.join:
            print(f"the cluster still has the Node object; there, type:\n  kubectl delete node {options.node_name}")
    if arguments.purge:
        from nodeagent.safepath import remove_tree

        remove_tree(layout.root)  # pods have written there: trees of any depth
        print(f"deleted {layout.root}")
    return 0


def _stop(layout: Layout, pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    clock = SystemClock()
    deadline = clock.monotonic() + STOP_SECONDS
    while layout.supervisor_pid() is not None:
        if clock.monotonic() > deadline:
            raise CommandError(f"process {pid} did not stop within {STOP_SECONDS:.0f} s; logs: {layout.logs}")
        time.sleep(0.02)


def _teardown(layout: Layout, options: Options) -> None:
    from nodeagent.teardown import teardown

    leftovers = segments.take_down(options, layout)
    leftovers += teardown(layout.node)
    if leftovers:
        raise CommandError("could not remove: " + ", ".join(leftovers))
