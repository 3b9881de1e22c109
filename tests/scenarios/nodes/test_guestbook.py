"""manifests/guestbook.yaml on three nodes: what is signed through one node's port is read through another's."""

from __future__ import annotations

import sys

import pytest

from tests.machine import KUBECTL, ROOT, Machine, eventually
from tests.scenarios.nodes.conftest import NODES
from tests.scenarios.nodes.test_three_nodes import segment_of

pytestmark = pytest.mark.timeout(240)


def ask(machine: Machine, host: str, path: str) -> str:
    words = f"printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {host} 30080"
    return machine.run("busybox", "sh", "-c", words, check=False).out


def test_the_guestbook_works_through_every_nodes_port(three: Machine) -> None:
    three.registry("examples", port=5000)
    three.run(sys.executable, "-m", "nodeagent.images.push_example")
    three.run(KUBECTL, "apply", "-f", ROOT / "manifests" / "guestbook.yaml")
    for tier in ("writer", "reader", "front"):
        three.kubectl("rollout", "status", f"deployment/guestbook-{tier}", "--timeout=60s", seconds=70)
    hosts = [segment_of(three).address(number) for number in range(1, len(NODES) + 1)]
    for number, host in enumerate(hosts):
        eventually(lambda n=number, h=host: f"added g{n}" in ask(three, h, f"/cgi-bin/sign?g{n}") or None, host)  # type: ignore[misc]
    for host in hosts:
        eventually(lambda h=host: all(f"\ng{n}\n" in ask(three, h, "/cgi-bin/list") for n in range(3)) or None, host)  # type: ignore[misc]
    three.run(KUBECTL, "delete", "-f", ROOT / "manifests" / "guestbook.yaml", "--wait=false")
