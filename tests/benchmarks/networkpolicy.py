"""What 500 network policies add to a connection between pods: `python -m tests.benchmarks.networkpolicy`.

Two network namespaces stand for the pods, a third routes between them and has the rules, in turns with and without.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nodeagent.policy.plan import Ruleset, plan
from nodeagent.policy.selection import Cluster, PodFacts, Policy, read_policy
from nodeagent.policy.transaction import rebuild, remove, update
from nodeagent.runtime import syscalls
from nodeagent.services import nftables
from tests.benchmarks.report import Report
from tiphys.api.networking.networkpolicy import NetworkPolicy

POLICIES, PODS = 500, 1000
CONNECTIONS, TURNS = 300, 6
SERVER, CLIENT = "10.244.0.2", "10.244.1.2"


def policies(selected: bool) -> list[Policy]:
    """All of them about the server, or each about a pod of its own; the last one allows the client."""
    found = []
    for number in range(POLICIES):
        about = {"app": "server"} if selected or number == POLICIES - 1 else {"pod": str(number)}
        allowed = {"app": "client"} if number == POLICIES - 1 else {"pod": str(number)}
        spec = {
            "podSelector": {"matchLabels": about},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": allowed}}], "ports": [{"port": 8080}]}],
        }
        whole = {"metadata": {"name": f"p{number:04}", "namespace": "default"}, "spec": spec}
        found.append(read_policy(NetworkPolicy.model_validate(whole)))
    return found


def ruleset(selected: bool) -> Ruleset:
    pods = [PodFacts(f"u{n}", "default", {"pod": str(n)}, (f"10.245.{n // 250}.{n % 250 + 2}",)) for n in range(PODS)]
    pods += [PodFacts("server", "default", {"app": "server"}, (SERVER,))]
    pods += [PodFacts("client", "default", {"app": "client"}, (CLIENT,))]
    return plan(policies(selected), Cluster({pod.uid: pod for pod in pods}, {"default": {}}), pods)


def measure(report: Report) -> None:
    report.section(f"network policies: {POLICIES}, pods: {PODS}")
    started = time.process_time()
    many = ruleset(selected=True)
    report.add("planning all of them", (time.process_time() - started) * 1000, "CPU-ms")
    failures: list[BaseException] = []

    def body() -> None:
        try:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            _in_the_middle(report, many, ruleset(selected=False))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def _in_the_middle(report: Report, many: Ruleset, spread: Ruleset) -> None:
    here = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net"
    names = {SERVER: f"bench-s-{os.getpid()}", CLIENT: f"bench-c-{os.getpid()}"}
    try:
        for address, name in names.items():
            _pod(name, address, here)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        listening = threading.Event()
        threading.Thread(target=_inside, args=(names[SERVER], lambda: _serve(listening)), daemon=True).start()
        listening.wait(10)
        cases = {
            "without policies": "",
            "each about another pod": rebuild("b", spread),
            "all about it": rebuild("b", many),
        }
        times: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(TURNS):
            for name, text in cases.items():
                nftables.apply(text or remove("b"))
                _run_inside(names[CLIENT], partial(_connect, times[name]))
        for name, found in times.items():
            found.sort()
            report.add(f"connection, {name}, p50", found[len(found) // 2] * 1e6, "µs")
            report.add(f"connection, {name}, p99", found[len(found) * 99 // 100] * 1e6, "µs")
        nftables.apply(rebuild("b", spread))
        started = time.perf_counter()
        nftables.apply(update("b", spread, many))
        report.add("changing every policy at once", (time.perf_counter() - started) * 1000, "ms")
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "delete", name], check=False)


def _pod(name: str, address: str, here: str) -> None:
    gateway = address.rsplit(".", 1)[0] + ".1"
    link = name[6:7] + str(os.getpid())
    for words in (
        ["ip", "netns", "add", name],
        ["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name],
        ["ip", "address", "add", f"{gateway}/24", "dev", link],
        ["ip", "link", "set", link, "up"],
        ["ip", "-n", name, "address", "add", f"{address}/24", "dev", "eth0"],
        ["ip", "-n", name, "link", "set", "eth0", "up"],
        ["ip", "-n", name, "route", "add", "default", "via", gateway],
    ):
        subprocess.run(["nsenter", f"--net={here}", *words], check=True)


def _inside(name: str, body: Callable[[], None]) -> None:
    with Path(f"/run/netns/{name}").open() as namespace:
        syscalls.setns(namespace.fileno(), syscalls.CLONE_NEWNET)
    body()


def _run_inside(name: str, body: Callable[[], None]) -> None:
    thread = threading.Thread(target=_inside, args=(name, body))
    thread.start()
    thread.join()


def _serve(listening: threading.Event) -> None:
    with socket.create_server((SERVER, 8080), backlog=512) as server:
        listening.set()
        while True:
            server.accept()[0].close()


def _connect(times: list[float]) -> None:
    for _ in range(CONNECTIONS):
        started = time.perf_counter()
        with socket.create_connection((SERVER, 8080), timeout=5):
            times.append(time.perf_counter() - started)


if __name__ == "__main__":
    measure(Report())
