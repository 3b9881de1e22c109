"""Debian's containerd, docker and podman, started here in directories of their own, as peers for one container's start.

    apt-get install --no-install-recommends containerd docker.io podman catatonit skopeo

Each start has no network at all, which favours the peers: our pods have theirs.  Everything is ended by process id.
What must stay true: a start is measured from the command's begin to its end, when the container runs.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.benchmarks.meter import cpu_seconds

IMAGE = "docker.io/library/bench:v1"
_SLEEP = ("/bin/busybox", "sleep", "1000")
_READY_SECONDS = 20.0
# No hard limit can be raised without CAP_SYS_RESOURCE, which podman would try.
_PODMAN = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n[engine]\nruntime = "crun"\n'
_POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  containers:
  - {{name: main, image: {image}, imagePullPolicy: Never, command: [/bin/busybox, sleep, "1000"]}}
"""


_PACKAGES = {
    "ctr": "containerd",
    "dockerd": "docker.io",
    "podman": "podman",
    "catatonit": "catatonit",
    "skopeo": "skopeo",
}


def missing_packages() -> list[str]:
    """Debian packages of the peers that are not installed."""
    return [package for program, package in _PACKAGES.items() if shutil.which(program) is None]


class EngineFailure(Exception):
    """A peer's command failed; its words."""


@dataclass
class Engine:
    """Commands with NAME and DIR in place of a container's name and of the engine's directory."""

    name: str
    start: Sequence[str]
    remove: Sequence[str]
    exec: Sequence[str] = ()
    daemons: Sequence[int] = ()
    environment: dict[str, str] = field(default_factory=dict)

    async def run(self, words: Sequence[str], name: str) -> float:
        """Seconds that the command took.  Raises EngineFailure."""
        begin = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(word.replace("NAME", name) for word in words),
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _, said = await process.communicate()
        if process.returncode:
            raise EngineFailure(f"{' '.join(words)}: {said.decode(errors='replace')[-400:]}")
        return time.perf_counter() - begin

    def cpu_seconds(self) -> float:
        """Of the daemons, what they have waited for, and our own commands; shims and monitors are not counted."""
        own = os.times()
        return own.children_user + own.children_system + cpu_seconds(self.daemons)


class Engines:
    """Enter it with an image in a registry; leaving ends the daemons and what they run."""

    def __init__(self, directory: Path, reference: str) -> None:
        self.directory, self._reference = directory, reference
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.all: list[Engine] = []

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True)
        archive = self.directory / "image.tar"
        target = f"docker-archive:{archive}:{IMAGE}"
        _do("skopeo", "copy", "--src-tls-verify=false", f"docker://{self._reference}", target)
        try:
            self.all = [*self._containerd(archive), self._docker(archive), *self._podman(archive)]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._daemons):
            process.terminate()
            process.wait()
        for point in sorted(_mounts_below(self.directory), reverse=True):
            subprocess.run(["umount", "--lazy", point], check=False)

    def _containerd(self, archive: Path) -> list[Engine]:
        home = self.directory / "containerd"
        home.mkdir()
        config, socket = home / "config.toml", home / "socket"
        config.write_text(
            f'version = 2\nroot = "{home}/root"\nstate = "{home}/state"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{socket}"\n'
        )
        daemon = self._daemon(home, socket, "containerd", "-c", str(config))
        ctr = ("ctr", "--address", str(socket))
        _do(*ctr, "images", "import", str(archive))
        remove = ("sh", "-c", f"{' '.join(ctr)} task delete --force NAME; {' '.join(ctr)} container delete NAME")
        exec_words = (*ctr, "task", "exec", "--exec-id", "e", "NAME", "busybox", "true")
        found = []
        for program in ("runc", "crun"):
            start = (*ctr, "run", "-d", "--runc-binary", program, IMAGE, "NAME", *_SLEEP)
            found.append(Engine(f"containerd, {program}", start, remove, exec_words, [daemon.pid]))
        return found

    def _docker(self, archive: Path) -> Engine:
        home, containerd = self.directory / "docker", self._daemons[0].pid
        home.mkdir()
        socket = home / "socket"
        daemon = self._daemon(
            home,
            socket,
            *("dockerd", "--data-root", f"{home}/root", "--exec-root", f"{home}/exec", "--pidfile", f"{home}/pid"),
            *("-H", f"unix://{socket}", "--containerd", f"{self.directory}/containerd/socket", "--bridge", "none"),
            *("--iptables=false", "--ip6tables=false", "--ip-forward=false"),
        )
        docker = ("docker", "--host", f"unix://{socket}")
        _do(*docker, "load", "-i", str(archive))
        start = (*docker, "run", "-d", "--network", "none", "--name", "NAME", IMAGE, *_SLEEP)
        exec_words = (*docker, "exec", "NAME", "busybox", "true")
        return Engine("docker, runc", start, (*docker, "rm", "-f", "NAME"), exec_words, [containerd, daemon.pid])

    def _podman(self, archive: Path) -> list[Engine]:
        home = self.directory / "pm"  # podman refuses a runroot of more than 50 characters
        home.mkdir()
        (home / "containers.conf").write_text(_PODMAN)
        environment = {"CONTAINERS_CONF": str(home / "containers.conf")}
        podman = ("podman", "--root", f"{home}/root", "--runroot", f"{home}/r", "--tmpdir", f"{home}/tmp")
        _do(*podman, "load", "-i", str(archive))
        (home / "pods").mkdir()
        play = f'printf "%s" "$1" > {home}/pods/NAME; exec {" ".join(podman)} kube play --network none {home}/pods/NAME'
        return [
            Engine(
                "podman run, crun",
                (*podman, "run", "-d", "--network", "none", "--name", "NAME", IMAGE, *_SLEEP),
                (*podman, "rm", "-f", "-t", "0", "NAME"),
                (*podman, "exec", "NAME", "busybox", "true"),
                environment=environment,
            ),
            Engine(
                "podman kube play, crun",
                ("sh", "-c", play, "sh", _POD.format(name="NAME", image=IMAGE)),
                (*podman, "pod", "rm", "-f", "-t", "0", "NAME"),
                environment=environment,
            ),
        ]

    def _daemon(self, home: Path, socket: Path, *words: str) -> subprocess.Popen[bytes]:
        """A running daemon that listens on its socket.  Raises EngineFailure with the end of its log."""
        with (home / "log").open("wb") as log:
            daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._daemons.append(daemon)
        deadline = time.monotonic() + _READY_SECONDS
        while not socket.exists():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise EngineFailure(f"{words[0]} does not listen: {(home / 'log').read_text()[-800:]}")
            time.sleep(0.05)
        return daemon


def _mounts_below(directory: Path) -> set[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {point for line in lines if (point := line.split()[4]).startswith(f"{directory}/")}


def _do(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise EngineFailure(f"{' '.join(words)}: {done.stderr[-400:]}")
