"""The controllers as a program: flags, leader election, diagnostics, clean stop on SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import signal
import ssl
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web
from prometheus_client import REGISTRY

from controllers.manager import Manager, enabled
from tiphys.client.config import ClientConfig
from tiphys.client.kubeconfig import load_kubeconfig
from tiphys.client.leaderelection import LeaderElector, own_identity
from tiphys.client.rest import Client
from tiphys.client.serving import TlsFiles, serve_diagnostics
from tiphys.clock import SystemClock
from tiphys.logs import setup

PORT = 10257
LEASE = "kube-controller-manager"


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="controllers", description="Brings what is to what the specs say.")
    parser.add_argument("--kubeconfig", required=True, metavar="FILE")
    parser.add_argument("--data-dir", metavar="DIR", help="keeps the identity over a restart")
    parser.add_argument("--pki-dir", metavar="DIR", help="where controllers.crt, controllers.key and ca.crt are")
    parser.add_argument("--bind-address", default="127.0.0.1", metavar="IP")
    parser.add_argument("--port", type=int, default=PORT, help="metrics and health; 0: none")
    parser.add_argument("--controllers", default="*", metavar="LIST", help="names, comma separated; * all, -name not")
    parser.add_argument("--fake-nodes", type=int, default=0, metavar="N", help="also run N simulated nodes")
    parser.add_argument("--cluster-cidr", default="", metavar="CIDR[,CIDR]", help="pod ranges of nodes come from here")
    arguments = parser.parse_args(words)
    try:
        arguments.names = enabled(arguments.controllers.split(","))
    except ValueError as error:
        parser.error(str(error))
    return arguments


async def serve(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM.  Exit code 1 when the leadership was lost: the supervisor starts a new candidate."""
    clock, log = SystemClock(), setup("controllers")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    config = load_kubeconfig(arguments.kubeconfig)
    async with Client(config) as client:
        identity = own_identity(arguments.data_dir, "controllers")
        elector = LeaderElector(client, LEASE, identity, registry=REGISTRY)
        manager = Manager(
            client.derived(fence=elector.is_leader),
            clock,
            names=arguments.names,
            simulated_nodes=arguments.fake_nodes,
            registry=REGISTRY,
            pki_dir=Path(arguments.pki_dir) if arguments.pki_dir else None,
            cluster_cidrs=tuple(part for part in arguments.cluster_cidr.split(",") if part),
        )
        runner = await _serve_diagnostics(arguments, config, manager, elector)
        leadership = asyncio.create_task(elector.lead(manager.run))
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait({leadership, stopping}, return_when=asyncio.FIRST_COMPLETED)
        ended = leadership.done()
        failure = leadership.exception() if ended and not leadership.cancelled() else None
        leadership.cancel()
        stopping.cancel()
        await asyncio.gather(leadership, stopping, return_exceptions=True)
        if runner is not None:
            await runner.cleanup()
        if failure is not None:
            log.error("controllers failed", exc_info=failure)
        log.info("leadership lost" if ended else "stopped")
        return 1 if ended else 0


async def _serve_diagnostics(
    arguments: argparse.Namespace, config: ClientConfig, manager: Manager, elector: LeaderElector
) -> web.AppRunner | None:
    if not arguments.port:
        return None
    tls: TlsFiles | ssl.SSLContext | None = config.server_ssl_context()
    if arguments.pki_dir:
        pki = Path(arguments.pki_dir)
        tls = TlsFiles(str(pki / "controllers.crt"), str(pki / "controllers.key"), str(pki / "ca.crt"))
    checks = {"sync": lambda: "" if manager.synced or not elector.is_leader() else "caches are filling"}
    return await serve_diagnostics(REGISTRY, arguments.port, arguments.bind_address, tls, checks)


def main(argv: Sequence[str]) -> int:
    """Run the controllers; returns the exit code."""
    return asyncio.run(serve(_arguments(argv)))
