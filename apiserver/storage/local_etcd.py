"""A local etcd member for `--store etcd`: Debian's etcd on loopback, its data below the data directory.

Nobody else on the machine can talk to it: both its ports want certificates of a CA of its own, not the cluster's.
The member dies with the process that started it, and a member that dies alone is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from apiserver.storage.etcd import EtcdStore, EtcdTls
from apiserver.storage.store import StoreError
from tiphys import pki
from tiphys.clock import Clock
from tiphys.pki import Identity

logger = logging.getLogger(__name__)

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
QUOTA_BYTES = 8 * 1024 * 1024 * 1024
REQUEST_BYTES = 4 * 1024 * 1024  # an API request has at most 3 MiB
IDENTITIES = (Identity("server", "local-etcd", hosts=("127.0.0.1",)), Identity("client", "apiserver"))


class LocalEtcd:
    """One member with its data in `directory`.  Raises StoreError when etcd is not installed or does not come up."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory = directory
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = _free_ports()
        self.endpoint = f"127.0.0.1:{self._ports[0]}"
        self._pki = directory / "pki"
        self.tls = EtcdTls(self._pki / "ca.crt", self._pki / "client.crt", self._pki / "client.key")

    @property
    def pid(self) -> int:
        """The member's process id; 0 when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def start(self) -> None:
        """Start the member; `wait_ready` says when it answers."""
        program = shutil.which("etcd")
        if program is None:
            raise StoreError("etcd is not installed: apt-get install etcd-server")
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        pki.ensure(self._pki, IDENTITIES, self._clock)
        with (self.directory / "etcd.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", program, *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")},  # no ETCD_* of the environment
                start_new_session=True,  # Ctrl-C goes to us; we stop it in order
            )

    def _arguments(self) -> list[str]:
        client, peer = (f"https://127.0.0.1:{port}" for port in self._ports)
        options = {
            "name": "local",
            "data-dir": str(self.directory / "member"),
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"local={peer}",
            "cert-file": str(self._pki / "server.crt"),
            "key-file": str(self._pki / "server.key"),
            "trusted-ca-file": str(self._pki / "ca.crt"),
            "client-cert-auth": "true",
            "peer-cert-file": str(self._pki / "server.crt"),
            "peer-key-file": str(self._pki / "server.key"),
            "peer-trusted-ca-file": str(self._pki / "ca.crt"),
            "peer-client-cert-auth": "true",
            "quota-backend-bytes": str(QUOTA_BYTES),
            "max-request-bytes": str(REQUEST_BYTES),
            "snapshot-count": "10000",
            "logger": "zap",
            "log-level": "warn",
        }
        return [f"--{name}={value}" for name, value in options.items()]

    async def wait_ready(self, timeout_seconds: float = READY_SECONDS) -> None:
        """Return when the member answers a linearizable read."""
        store = EtcdStore([self.endpoint], self.tls)
        try:
            async with asyncio.timeout(timeout_seconds):
                while True:
                    with contextlib.suppress(StoreError):
                        await store.revision()
                        return
                    if not self.pid:
                        raise StoreError(f"etcd ended: {self._last_words()}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise StoreError(f"etcd does not answer after {timeout_seconds:.0f} s: {self._last_words()}") from None
        finally:
            await store.close()

    def _last_words(self) -> str:
        lines = (self.directory / "etcd.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing"

    async def supervise(self) -> None:
        """Start the member again whenever it ends; runs until cancelled."""
        while True:
            await self._ended()
            logger.error("etcd ended, starting it again reason=%r", self._last_words())
            await asyncio.sleep(1.0)
            self.start()

    async def _ended(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        descriptor = os.pidfd_open(process.pid)
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
            process.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def stop(self) -> None:
        """End the member, gently first."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Let the member stand still until `resume`; for tests."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the member as a crash would; for tests."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


class LocalEtcdStore(EtcdStore):
    """The store on a member of its own: closing the store stops the member."""

    def __init__(self, member: LocalEtcd) -> None:
        super().__init__([member.endpoint], member.tls)
        self._member = member
        self._supervisor = asyncio.create_task(member.supervise(), name="etcd-supervisor")

    async def close(self) -> None:
        self._supervisor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._supervisor
        await super().close()
        await asyncio.to_thread(self._member.stop)


async def start_local_etcd(directory: Path, clock: Clock) -> LocalEtcdStore:
    """Start a member in `directory`, wait until it answers, and open the store on it."""
    member = LocalEtcd(directory, clock)
    member.start()
    try:
        await member.wait_ready()
    except BaseException:
        member.stop()
        raise
    return LocalEtcdStore(member)


def _free_ports() -> tuple[int, int]:
    """Two loopback ports nobody listens on: clients, peers."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
