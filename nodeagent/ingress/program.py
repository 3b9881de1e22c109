"""The Ingress controller as a program: flags, metrics, clean stop on SIGTERM or when its agent dies."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, disable_created_metrics

from nodeagent.ingress.backends import Backends
from nodeagent.ingress.certificates import Certificates
from nodeagent.ingress.connection import Serving
from nodeagent.ingress.controller import IngressController, IngressSettings
from nodeagent.ingress.limits import Limits
from nodeagent.ingress.metrics import IngressMetrics
from nodeagent.ingress.routing import Table
from tiphys.client.kubeconfig import load_kubeconfig
from tiphys.client.rest import Client
from tiphys.client.serving import TlsFiles, serve_diagnostics
from tiphys.clock import Clock, SystemClock
from tiphys.logs import fields, setup

_PR_SET_PDEATHSIG = 1
_log = logging.getLogger(__name__)


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nodeagent.ingress", description="Serves the Ingresses of class tiphys.")
    parser.add_argument("--kubeconfig", required=True, metavar="FILE")
    parser.add_argument("--node-name", required=True, metavar="NAME")
    parser.add_argument("--address", default="", metavar="IP", help="default: all of this machine's")
    parser.add_argument("--http-port", type=int, default=80, metavar="N")
    parser.add_argument("--https-port", type=int, default=443, metavar="N")
    parser.add_argument("--metrics-address", default="127.0.0.1", metavar="IP")
    parser.add_argument("--metrics-port", type=int, default=10254, metavar="N", help="-1: none")
    parser.add_argument("--tls-cert-file", default="", metavar="FILE", help="of the metrics port")
    parser.add_argument("--tls-private-key-file", default="", metavar="FILE")
    parser.add_argument("--client-ca-file", default="", metavar="FILE")
    parser.add_argument("--parent-pid", type=int, default=0, metavar="PID", help="end when this process has ended")
    return parser.parse_args(words)


def serving(registry: CollectorRegistry, clock: Clock, limits: Limits | None = None) -> Serving:
    """What connections share, with an empty table."""
    metrics = IngressMetrics(registry)
    result: list[Serving] = []

    def table() -> Table:
        return result[0].table

    backends = Backends(lambda address: metrics.connect_failures.inc())
    result.append(Serving(metrics, backends, Certificates(clock, table), limits or Limits()))
    return result[0]


async def serve(flags: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; 1 when the controller itself ended."""
    setup("ingress")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if flags.parent_pid:
        die_with(flags.parent_pid)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    async with Client(load_kubeconfig(flags.kubeconfig)) as client:
        settings = IngressSettings(flags.node_name, flags.address, flags.http_port, flags.https_port)
        controller = IngressController(client, settings, serving(registry, SystemClock()))
        diagnostics = await _diagnostics(flags, registry, controller)
        running = asyncio.create_task(controller.run(), name="ingress")
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        failed = running.done()
        running.cancel()
        stopping.cancel()
        result, _ = await asyncio.gather(running, stopping, return_exceptions=True)
        if diagnostics is not None:
            await diagnostics.cleanup()
    if failed:
        _log.error("the controller ended", extra=fields(cause=repr(result)))
    return 1 if failed else 0


async def _diagnostics(
    flags: argparse.Namespace, registry: CollectorRegistry, controller: IngressController
) -> web.AppRunner | None:
    if flags.metrics_port < 0:
        return None
    tls = TlsFiles(flags.tls_cert_file, flags.tls_private_key_file, flags.client_ca_file)
    checks = {"listening": lambda: "" if controller.listening.is_set() else "the ports are not open"}
    try:
        return await serve_diagnostics(
            registry,
            flags.metrics_port,
            flags.metrics_address,
            tls if Path(tls.certificate).is_file() else None,
            checks,
        )
    except OSError as error:
        _log.warning("no metrics", extra=fields(cause=error))
        return None


def die_with(parent_pid: int) -> None:
    """SIGTERM for us when the agent dies, however it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGTERM)


def main(argv: Sequence[str]) -> int:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # upstream's programs have no *_created series
    return asyncio.run(serve(arguments(argv)))
