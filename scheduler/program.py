"""The scheduler as a program: flags, leader election, diagnostics, clean stop on SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from random import Random

from prometheus_client import REGISTRY

from scheduler.scheduler import NAME, Scheduler
from tiphys.client.events import EventRecorder
from tiphys.client.kubeconfig import load_kubeconfig
from tiphys.client.leaderelection import LeaderElector, own_identity
from tiphys.client.rest import Client
from tiphys.client.serving import TlsFiles, serve_diagnostics
from tiphys.clock import SystemClock
from tiphys.logs import setup

PORT = 10259


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scheduler", description="Gives every pod a node.")
    parser.add_argument("--kubeconfig", required=True, metavar="FILE")
    parser.add_argument("--data-dir", metavar="DIR", help="where the scheduler keeps its identity over restarts")
    parser.add_argument("--pki-dir", metavar="DIR", help="where scheduler.crt, scheduler.key and ca.crt are")
    parser.add_argument("--bind-address", default="127.0.0.1", metavar="IP")
    parser.add_argument("--port", type=int, default=PORT, help="metrics and health; 0: none")
    return parser.parse_args(words)


async def serve(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM.  Exit code 1 when the leadership was lost: the supervisor starts a new candidate."""
    clock, log = SystemClock(), setup("scheduler")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with Client(load_kubeconfig(arguments.kubeconfig)) as client:
        identity = own_identity(arguments.data_dir, "scheduler")
        elector = LeaderElector(client, "kube-scheduler", identity, registry=REGISTRY)
        leading = client.derived(fence=elector.is_leader)
        recorder = EventRecorder(leading, NAME, clock=clock)
        scheduler = Scheduler(leading, recorder, clock, Random(os.urandom(8)), REGISTRY)
        runner = None
        if arguments.port and arguments.pki_dir:
            pki = Path(arguments.pki_dir)
            tls = TlsFiles(str(pki / "scheduler.crt"), str(pki / "scheduler.key"), str(pki / "ca.crt"))
            checks = {"sync": lambda: "" if scheduler.synced or not elector.is_leader() else "caches are filling"}
            runner = await serve_diagnostics(REGISTRY, arguments.port, arguments.bind_address, tls, checks)
        leadership = asyncio.create_task(elector.lead(scheduler.run))
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait({leadership, stopping}, return_when=asyncio.FIRST_COMPLETED)
        lost = leadership.done()
        leadership.cancel()
        stopping.cancel()
        await asyncio.gather(leadership, stopping, recorder.stop(), return_exceptions=True)
        if runner is not None:
            await runner.cleanup()
        log.info("leadership lost" if lost else "stopped")
        return 1 if lost else 0


def main(argv: Sequence[str]) -> int:
    """Run the scheduler; returns its exit code."""
    return asyncio.run(serve(_arguments(argv)))
