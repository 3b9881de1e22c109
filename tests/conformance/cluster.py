"""The cluster under test: `tiphys up` with two simulated nodes on a free port, its data in a directory of its own."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.api import Api, eventually
from tiphys.cli.cluster import Layout

STORE_VARIABLE = "TIPHYS_CONFORMANCE_STORE"
NODES = ("fake-node-0", "fake-node-1")
TIPHYS = Path(sys.executable).with_name("tiphys")
KUBECTL = Path(sys.executable).with_name("kubectl")
UP_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Cluster:
    """A running cluster.  `api` speaks as its administrator."""

    layout: Layout
    api: Api

    @property
    def environment(self) -> dict[str, str]:
        """What kubectl needs; its discovery cache is the cluster's own."""
        return {**os.environ, "KUBECONFIG": str(self.layout.kubeconfig("admin")), "HOME": str(self.layout.root)}

    def run_kubectl(self, *words: str, stdin: str = "") -> Done:
        assert KUBECTL.exists(), "kubectl is missing: make setup-test"
        done = subprocess.run(
            [str(KUBECTL), *words], input=stdin, capture_output=True, text=True, timeout=60, env=self.environment
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """The output of a kubectl that must succeed."""
        done = self.run_kubectl(*words, stdin=stdin)
        assert done.code == 0, f"kubectl {' '.join(words)}: {done.code}\n{done.out}\n{done.err}"
        return done.out

    def kubectl_fails(self, *words: str, stdin: str = "") -> str:
        """What a kubectl that must fail says on standard error."""
        done = self.run_kubectl(*words, stdin=stdin)
        assert done.code != 0, f"kubectl {' '.join(words)} succeeded\n{done.out}"
        return done.err


def store() -> str:
    """The store of this session: sqlite unless the environment asks for another."""
    return os.environ.get(STORE_VARIABLE, "sqlite")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


def administrator(layout: Layout, port: int) -> Api:
    context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
    return Api(f"https://127.0.0.1:{port}", context)


@contextmanager
def running_cluster(directory: Path) -> Iterator[Cluster]:
    """Up, its nodes ready and the default ServiceAccount there; down at the end, whatever happened."""
    layout, port = Layout(directory), free_port()
    words = [str(TIPHYS), "up", "--no-node", "--fake-nodes", str(len(NODES)), "--data-dir", str(directory)]
    try:
        _run([*words, "--port", str(port), "--store", store()])
        cluster = Cluster(layout, administrator(layout, port))
        eventually(lambda: _is_complete(cluster.api), "the nodes are ready")
        yield cluster
    finally:
        _run([str(TIPHYS), "down", "--data-dir", str(directory)])


def _run(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=UP_SECONDS)
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"


def _is_complete(api: Api) -> bool:
    def is_ready(name: str) -> bool:
        node = api.find(f"/api/v1/nodes/{name}")
        conditions = node["status"].get("conditions", []) if node else []
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    account = api.find("/api/v1/namespaces/default/serviceaccounts/default")
    return account is not None and all(is_ready(name) for name in NODES)
