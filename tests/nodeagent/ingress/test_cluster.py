"""The whole way on a machine of its own: objects in, requests through the node's ports, addresses published."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.test_traefik import ask, backend, ingress, service
from tests.machine import ADDRESS, NODE, Machine, eventually
from tests.nodeagent.ingress.serving import certificate

INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("ingress")) as machine:
        machine.up()
        yield machine


@pytest.fixture(scope="module")
def servers(machine: Machine) -> Iterator[tuple[int, int]]:
    one, two = backend("one"), backend("two")
    yield next(one), next(two)
    for made in (one, two):
        next(made, None)


def listens(port: int) -> bool:
    try:
        socket.create_connection((ADDRESS, port), timeout=2).close()
    except OSError:
        return False
    return True


def controllers() -> list[int]:
    """Processes of the controller in this network namespace."""
    mine, found = Path("/proc/thread-self/ns/net").stat().st_ino, []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if entry.name.isdigit() and b"nodeagent.ingress" in words and (entry / "ns/net").stat().st_ino == mine:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def answers(host: str, path: str, wanted: tuple[int, str], what: str) -> None:
    eventually(lambda: ask(host, path, 80) == wanted, what)


def test_it_costs_nothing_until_there_is_an_ingress_and_again_afterwards(
    machine: Machine, servers: tuple[int, int]
) -> None:
    assert not listens(80) and not listens(443) and controllers() == []
    made = ingress("first", "first.example", cart="first")
    del made["spec"]["ingressClassName"]  # the class is the default one
    machine.apply(*service("first", servers[0]), made)
    answers("first.example", "/cart", (200, "one /cart"), "the first request")
    assert len(controllers()) == 1 and ask("other.example", "/", 80)[0] == 404
    found = eventually(
        lambda: (machine.get(f"{INGRESSES}/first") or {})["status"]["loadBalancer"].get("ingress"), "its address"
    )
    assert found == [{"ip": ADDRESS}]
    annotations = (machine.get(f"/api/v1/nodes/{NODE}") or {})["metadata"]["annotations"]
    assert annotations["tiphys.dev/ingress"] == "true"
    machine.kubectl("delete", "ingress", "first")
    eventually(lambda: not controllers() and not listens(80), "the controller is gone")
    annotations = (machine.get(f"/api/v1/nodes/{NODE}") or {})["metadata"]["annotations"]
    assert "tiphys.dev/ingress" not in annotations


def test_changes_of_objects_are_followed(machine: Machine, servers: tuple[int, int]) -> None:
    one, two = servers
    machine.apply(*service("shop", one), ingress("shop", "*.shop.example", "tiphys", cart="shop", list="missing"))
    answers("a.shop.example", "/cart", (200, "one /cart"), "the endpoint")
    assert ask("a.shop.example", "/list", 80)[0] == 503
    machine.apply(*service("shop", two))
    answers("a.shop.example", "/cart", (200, "two /cart"), "the new endpoint")
    machine.apply(*service("missing", one))
    answers("a.shop.example", "/list", (200, "one /list"), "the new service")
    machine.apply(*service("shop"))
    answers("a.shop.example", "/cart", (503, ""), "no endpoint")


def test_a_certificate_is_read_from_its_secret_and_from_no_other(machine: Machine, servers: tuple[int, int]) -> None:
    crt, key = certificate("tls.example")
    for name, part in (("crt", crt), ("key", key)):
        (machine.directory / name).write_bytes(part)
    files = (f"--cert={machine.directory / 'crt'}", f"--key={machine.directory / 'key'}")
    machine.kubectl("create", "secret", "tls", "certificate", *files)
    made = ingress("tls", "tls.example", "tiphys", x="tls")
    made["spec"]["tls"] = [{"hosts": ["tls.example"], "secretName": "certificate"}]
    config = ("--kubeconfig", str(machine.layout.kubeconfig(f"node-{NODE}")))
    refused = machine.kubectl(*config, "get", "secret", "certificate", check=False)
    assert "no relationship found" in refused.err
    machine.apply(*service("tls", servers[0]), made)
    words = ("openssl", "s_client", "-connect", f"{ADDRESS}:443", "-servername", "tls.example")
    eventually(lambda: "CN = tls.example" in machine.run(*words, check=False).out, "the certificate")
    assert machine.kubectl(*config, "get", "secret", "certificate").code == 0
    machine.kubectl("create", "secret", "generic", "other", "--from-literal=a=b")
    assert machine.kubectl(*config, "get", "secret", "other", check=False).code != 0
    assert machine.kubectl(*config, "get", "secrets", check=False).code != 0
    machine.kubectl("delete", "ingress", "tls")
    eventually(
        lambda: machine.kubectl(*config, "get", "secret", "certificate", check=False).code != 0, "the right is gone"
    )


def test_it_dies_with_its_agent_and_comes_back_with_it(machine: Machine, servers: tuple[int, int]) -> None:
    machine.apply(*service("back", servers[0]), ingress("back", "back.example", "tiphys", x="back"))
    answers("back.example", "/x", (200, "one /x"), "the first request")
    (old,) = controllers()
    os.kill(old, 9)
    eventually(lambda: controllers() not in ([], [old]), "another controller")
    answers("back.example", "/x", (200, "one /x"), "after the controller was killed")
    before = controllers()
    agent = machine.kill("nodeagent")
    machine.restarted("nodeagent", agent)
    eventually(lambda: len(controllers()) == 1 and controllers() != before, "one new controller")
    answers("back.example", "/x", (200, "one /x"), "after the agent was killed")


def test_it_can_be_switched_off(machine: Machine) -> None:
    machine.down()
    machine.up("--no-ingress")
    annotations = lambda: (machine.get(f"/api/v1/nodes/{NODE}") or {})["metadata"]["annotations"]  # noqa: E731
    eventually(lambda: "tiphys.dev/ingress" not in annotations(), "the node says so")
    assert controllers() == [] and not listens(80)
    assert machine.get(f"{INGRESSES}/back") is not None, "the Ingress is there, for somebody else"
