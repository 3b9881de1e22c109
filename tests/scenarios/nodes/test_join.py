"""A second machine joins behind a router, with a token; pods talk through VXLAN; it leaves and nothing of it is left.

What is refused is refused before anything is made on the machine that wants to join.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeagent.network.segment import enter
from nodeagent.runtime import syscalls
from nodeagent.volumes.teardown import mounts_below
from tests.machine import ADDRESS, NODE, Done, Machine, eventually, is_ready
from tests.nodeagent.registry import Registry
from tests.scenarios.nodes.test_three_nodes import SERVE, fetches, on
from tests.scenarios.pods import busybox_image, container, pod
from tiphys.cli.cluster import Layout

pytestmark = pytest.mark.timeout(300)
URL = f"https://{ADDRESS}:6443"
OTHER = "192.168.81.2"


class Other:
    """A machine behind a router, as far as processes are concerned: its own network, its own directory."""

    def __init__(self, machine: Machine, directory: Path) -> None:
        self.machine, self.layout = machine, Layout(directory / "data")
        self.name = f"{machine.name}-o"
        self.router = f"{machine.name}-r"

    def make(self) -> None:
        run = self.machine.run
        for name in (self.router, self.name):
            run("ip", "netns", "add", name)
        run("ip", "link", "add", "lan", "type", "veth", "peer", "name", "lan", "netns", self.router)
        run("ip", "-n", self.router, "link", "add", "far", "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "address", "add", "192.168.80.2/24", "dev", "lan")
        run("ip", "link", "set", "lan", "up")
        run("ip", "route", "add", "192.168.81.0/24", "via", "192.168.80.1")
        for netns, address, link in (
            (self.router, "192.168.80.1/24", "lan"),
            (self.router, "192.168.81.1/24", "far"),
            (self.name, f"{OTHER}/24", "eth0"),
        ):
            run("ip", "-n", netns, "address", "add", address, "dev", link)
            run("ip", "-n", netns, "link", "set", link, "up")
            run("ip", "-n", netns, "link", "set", "lo", "up")
        run("ip", "-n", self.router, "route", "add", f"{ADDRESS}/32", "via", "192.168.80.2")
        run("ip", "-n", self.name, "route", "add", "default", "via", "192.168.81.1")
        run("nsenter", f"--net=/run/netns/{self.router}", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def remove(self) -> None:
        self.down()
        self.machine.run("ip", "link", "delete", "lan", check=False)
        for name in (self.router, self.name):
            self.machine.run("ip", "netns", "delete", name, check=False)

    def run(self, *words: str, check: bool = True) -> Done:
        return self.machine.run("nsenter", f"--net=/run/netns/{self.name}", *words, check=check, seconds=90)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """What the test starts is on this machine."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        enter(f"/run/netns/{self.name}")
        try:
            yield
        finally:
            syscalls.setns(home, syscalls.CLONE_NEWNET)
            os.close(home)

    def tiphys(self, verb: str, *words: str, check: bool = True) -> Done:
        command = (sys.executable, "-m", "tiphys.cli.main", verb, "--data-dir", str(self.layout.root))
        return self.run(*command, *words, check=check)

    def join(self, token: str, *words: str, url: str = URL, check: bool = True) -> Done:
        return self.tiphys("join", url, "--token", token, "--node-name", "other", *words, check=check)

    def down(self, *words: str) -> Done:
        return self.tiphys("down", *words, check=False)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("first")) as machine:
        machine.up("--bind-address", "0.0.0.0")
        yield machine


@pytest.fixture(scope="module")
def other(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Other]:
    other = Other(machine, tmp_path_factory.mktemp("other"))
    try:
        other.make()
        yield other
    finally:
        other.remove()


def new_token(machine: Machine, *words: str) -> str:
    done = machine.tiphys("token", "create", *words)
    token = done.out.splitlines()[0]
    assert f"tiphys join {URL} --token {token}" in done.out and done.err == ""
    return token


def refused(done: Done, other: Other) -> str:
    assert done.code == 1
    assert not other.layout.root.exists(), "nothing was made"
    return done.err


def test_tokens_are_made_listed_and_deleted(machine: Machine) -> None:
    token_id = new_token(machine, "--description", "for a test", "--ttl", "0").partition(".")[0]
    listed = machine.tiphys("token", "list").out
    assert [line.split()[:2] for line in listed.splitlines() if line.startswith(token_id)] == [[token_id, "never"]]
    assert "for a test" in listed
    assert machine.tiphys("token", "delete", token_id).out == f'token "{token_id}" deleted\n'
    assert token_id not in machine.tiphys("token", "list").out


def test_a_token_with_another_hash_is_refused_as_another_cluster(machine: Machine, other: Other) -> None:
    token = new_token(machine)
    forged = token[:-64] + "0" * 64
    told = refused(other.join(forged, check=False), other)
    assert "is not the one the token was made for" in told and token[-64:] in told


def test_a_wrong_secret_an_unknown_id_and_an_expired_token_are_told_apart(machine: Machine, other: Other) -> None:
    token = new_token(machine)
    token_id, _, token_hash = token.split(".")
    eventually(lambda: signed(machine, token_id), "the token signs cluster-info")
    wrong = refused(other.join(f"{token_id}.{'a' * 16}.{token_hash}", check=False), other)
    assert f"token {token_id} does not have that secret" in wrong
    unknown = refused(other.join(f"zzzzzz.{'a' * 16}.{token_hash}", check=False), other)
    assert "token zzzzzz is unknown to the cluster or has expired" in unknown
    short = new_token(machine, "--ttl", "1s")
    eventually(lambda: short[:6] not in machine.tiphys("token", "list").out, "the token is cleaned away")
    assert "has expired" in refused(other.join(short, check=False), other)


def signed(machine: Machine, token_id: str) -> bool:
    info: Any = machine.get("/api/v1/namespaces/kube-public/configmaps/cluster-info")
    return info is not None and f"jws-kubeconfig-{token_id}" in info["data"]


def test_an_address_where_nobody_answers_and_nonsense_are_told_plainly(machine: Machine, other: Other) -> None:
    token = new_token(machine)
    told = refused(other.join(token, url="https://192.168.81.1:6443", check=False), other)
    assert "cannot reach https://192.168.81.1:6443: Connection refused" in told
    assert "ID.SECRET.HASH" in refused(other.join("abc", check=False), other)
    assert "is not the URL of an API server" in refused(other.join(token, url="ftp://x", check=False), other)


def has_ended(pid: int) -> bool:
    """Also when nobody has reaped it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def timed(what: str, act: Callable[[], Any]) -> None:
    start = time.monotonic()
    act()
    print(f"{what}: {time.monotonic() - start:.2f} s")


def test_a_machine_joins_runs_pods_is_lost_comes_back_and_leaves(machine: Machine, other: Other) -> None:
    token = new_token(machine)
    eventually(lambda: signed(machine, token[:6]), "the token signs cluster-info")
    timed("join until ready", lambda: other.join(token))
    assert "Ready" in other.tiphys("status").out
    certificate = (other.layout.pki / "node-other.crt").read_text()
    assert not (other.layout.pki / "ca.key").exists()

    registry = machine.registry()
    image = registry.push(busybox_image(), "box", "v1")
    own = Registry(other.layout.root.parent / "registry", port=int(registry.host.split(":")[1]))
    with other.inside():
        own.start()
        own.push(busybox_image(), "box", "v1")
    machine.apply(on("other", pod("web-1", container(image, SERVE))))
    machine.wait_pod("web-1", is_ready)
    own.stop()
    machine.apply(on(NODE, pod("web-0", container(image, SERVE))))
    addresses = [machine.wait_pod(name, is_ready)["status"]["podIP"] for name in ("web-0", "web-1")]
    eventually(lambda: fetches(machine, 0, addresses[1]) or None, "from the first machine through VXLAN")
    assert fetches(machine, 1, addresses[0]), "and back; exec reaches the joined node"
    assert "tiphys-vx onlink" in machine.run("ip", "route", "show", "proto", "77").out

    state = other.layout.component_states()
    os.kill(other.layout.supervisor_pid() or 0, signal.SIGKILL)
    eventually(lambda: has_ended(state["nodeagent"]["pid"]), "the agent ends with its parent")
    assert fetches(machine, 0, addresses[1]), "containers live on"
    timed("lost node joined again", lambda: other.join(token))
    eventually(lambda: fetches(machine, 1, addresses[0]) or None, "exec again")
    assert (other.layout.pki / "node-other.crt").read_text() == certificate, "what is good is kept"

    done = other.down("--purge")
    assert done.code == 0 and "kubectl delete node other" in done.out
    assert mounts_below(other.layout.root.parent) == [] and not other.layout.root.exists()
    links = other.run("ip", "-brief", "link").out.split("\n")
    assert sorted(line.split("@")[0].split()[0] for line in links if line) == ["eth0", "lo"]
    assert other.run("nft", "list", "tables").out == ""
    machine.kubectl("delete", "node", "other")
    eventually(lambda: machine.run("ip", "route", "show", "proto", "77").out == "", "the way to it is forgotten")
