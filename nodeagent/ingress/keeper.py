"""The agent's side: the Ingress controller runs as a process of its own, and only while an Ingress of ours exists.

What must stay true: without an Ingress there is no process and no open port; traffic and hostile clients cannot slow
down the agent; the process ends with the agent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence

from nodeagent.ingress.plan import class_names, is_ours
from nodeagent.ingress.status import LISTENS
from nodeagent.settings import Settings
from tiphys.api.core.node import Node
from tiphys.api.networking.ingress import Ingress
from tiphys.api.networking.ingressclass import IngressClass
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.informers import Informers
from tiphys.client.rest import Client
from tiphys.logs import fields

_log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 30.0
STOP_SECONDS = 15.0  # longer than the controller's own draining


class IngressKeeper:
    """`words` are the flags of the program.  `run` until cancelled."""

    def __init__(self, client: Client, words: Sequence[str]) -> None:
        self._words = (*words, "--parent-pid", str(os.getpid()))
        self._informers = Informers(client)
        self._classes, self._ingresses = self._informers.of(IngressClass), self._informers.of(Ingress)
        self._changed = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Start and stop the process as Ingresses come and go; start it again when it dies."""
        try:
            self._informers.start()
            await self._informers.wait_synced()
            for informer in (self._classes, self._ingresses):
                informer.add_handler(lambda old, new: self._changed.set())
            failures = 0
            while True:
                await self._until(wanted=True)
                if await self._run_process():
                    failures = 0
                    continue
                failures += 1
                seconds = min(FIRST_RETRY_SECONDS * 2.0 ** min(failures, 10), LAST_RETRY_SECONDS)
                _log.error("the ingress controller ended", extra=fields(retry_seconds=seconds))
                await asyncio.sleep(seconds)
        finally:
            await self._stop()
            await self._informers.stop()

    def wanted(self) -> bool:
        names = class_names(self._classes.list())
        return bool(names) and any(is_ours(one, names) for one in self._ingresses.list())

    async def _until(self, *, wanted: bool) -> None:
        while self.wanted() != wanted:
            self._changed.clear()
            await self._changed.wait()

    async def _run_process(self) -> bool:
        """False when it died by itself."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "nodeagent.ingress", *self._words, stdin=asyncio.subprocess.DEVNULL
        )
        ended = asyncio.create_task(self._process.wait())
        unwanted = asyncio.create_task(self._until(wanted=False))
        try:
            await asyncio.wait({ended, unwanted}, return_when=asyncio.FIRST_COMPLETED)
            by_itself = ended.done()
        finally:
            unwanted.cancel()
            ended.cancel()
            await asyncio.gather(unwanted, ended, return_exceptions=True)
        await self._stop()
        return not by_itself

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def serve_ingresses(client: Client, settings: Settings) -> list[Callable[[], object]]:
    """Start keeping the controller, or see to it that nobody takes this node for one that serves; what ends that."""
    keeping = IngressKeeper(client, flags(settings)).run() if settings.ingress else _withdraw(client, settings)
    task = asyncio.create_task(keeping, name="ingress")

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    return [end]


async def _withdraw(client: Client, settings: Settings) -> None:
    try:
        await client.patch(Node, settings.node_name, "", {"metadata": {"annotations": {LISTENS: None}}})
    except (ApiError, ConnectionFailed) as error:
        _log.warning("the node was not annotated", extra=fields(cause=error))


def flags(settings: Settings) -> list[str]:
    """The agent's settings as flags of the controller."""
    return [
        *("--kubeconfig", settings.kubeconfig, "--node-name", settings.node_name),
        *("--address", settings.ingress_address, "--http-port", str(settings.ingress_http_port)),
        *("--https-port", str(settings.ingress_https_port), "--metrics-address", settings.bind_address),
        *("--metrics-port", str(settings.ingress_metrics_port), "--tls-cert-file", str(settings.tls_cert_file)),
        *("--tls-private-key-file", str(settings.tls_private_key_file)),
        *("--client-ca-file", str(settings.client_ca_file)),
    ]
