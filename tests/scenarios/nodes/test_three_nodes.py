"""Three nodes on one machine: pods reach one another by IP whatever happens to agents and links; times are printed."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from nodeagent.network.segment import Segment
from tests.machine import KUBECTL, Machine, Object, eventually, is_ready, is_running
from tests.scenarios.nodes.conftest import NODES
from tests.scenarios.pods import container, pod

pytestmark = pytest.mark.timeout(240)
SERVE = "cd /tmp; echo hello > index.html; trap 'exit 0' TERM; httpd -f -p 80 -h /tmp & wait"


def on(node: str, made: Object) -> Object:
    made["spec"].update(nodeName=node, terminationGracePeriodSeconds=1, automountServiceAccountToken=False)
    return made


@pytest.fixture(scope="module")
def addresses(three: Machine, image: str) -> dict[str, str]:
    """Node -> address of a web server that runs there in the pod web-NUMBER."""
    three.apply(*(on(node, pod(f"web-{n}", container(image, SERVE))) for n, node in enumerate(NODES)))
    found = {}
    for n, node in enumerate(NODES):
        found[node] = three.wait_pod(f"web-{n}", lambda p: is_ready(p) and p["status"].get("podIP"))["status"]["podIP"]
        eventually(partial(fetches, three, n, "127.0.0.1"), f"the server of {node} is up")
    return found


def fetches(machine: Machine, number: int, address: str, *, seconds: int = 2) -> bool:
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w {seconds} {address} 80"
    return machine.kubectl("exec", f"web-{number}", "--", "sh", "-c", ask, check=False).out.endswith("\nhello\n")


def recovery(what: str, probe: Callable[[], Any]) -> None:
    start = time.monotonic()
    eventually(probe, what)
    print(f"{what}: {time.monotonic() - start:.2f} s")


def segment_of(machine: Machine) -> Segment:
    options = machine.layout.load_options()
    assert options is not None
    return Segment(ipaddress.IPv4Network(options.segment), options.data_dir)


def test_every_pod_reaches_every_other_by_ip_under_its_own_address(three: Machine, addresses: dict[str, str]) -> None:
    for n, node in enumerate(NODES):
        for other, address in addresses.items():
            assert fetches(three, n, address), f"{node} to {other}"
    nodes = three.get("/api/v1/nodes")
    assert nodes is not None
    ranges = {n["metadata"]["name"]: ipaddress.ip_network(n["spec"]["podCIDRs"][0]) for n in nodes["items"]}
    assert len(set(ranges.values())) == 3
    assert all(ipaddress.ip_address(address) in ranges[node] for node, address in addresses.items())


def test_a_pod_on_another_node_sees_the_clients_own_address(three: Machine, addresses: dict[str, str]) -> None:
    serve = "timeout 20 nc -l -p 8081 -e sh -c 'netstat -tn | grep :8081'"
    server = three.start(KUBECTL, "exec", "web-1", "--", "sh", "-c", serve)
    try:
        ask = f"nc -w 5 {addresses[NODES[1]]} 8081 < /dev/null"

        def told() -> str:
            return three.kubectl("exec", "web-0", "--", "sh", "-c", ask, check=False).out

        seen = eventually(lambda: told() or None, "the other pod answers")
    finally:
        server.kill()
    assert addresses[NODES[0]] in seen, seen


def test_exec_logs_and_port_forward_reach_every_node(three: Machine, addresses: dict[str, str]) -> None:
    for n in range(3):
        assert three.kubectl("exec", f"web-{n}", "--", "hostname").out == f"web-{n}\n"
        assert three.kubectl("logs", f"web-{n}").out == ""
    got = three.kubectl("get", "--raw", "/api/v1/namespaces/default/pods/web-2/proxy/").out
    assert got == "hello\n"


def test_pods_talk_while_an_agent_is_dead_and_afterwards(three: Machine, addresses: dict[str, str]) -> None:
    old = three.kill("nodeagent-2")
    assert fetches(three, 0, addresses[NODES[1]]), "containers and routes outlive the agent"
    recovery(
        "agent killed, exec into its pod works again",
        lambda: fetches(three, 1, addresses[NODES[2]]) or None,
    )
    three.restarted("nodeagent-2", old)
    assert three.wait_pod("web-1", is_ready)["status"]["podIP"] == addresses[NODES[1]]


def test_routes_that_somebody_flushes_come_back(three: Machine, addresses: dict[str, str]) -> None:
    three.run("ip", "route", "flush", "proto", "77")
    recovery("routes flushed, pods reached again", lambda: fetches(three, 0, addresses[NODES[1]], seconds=1) or None)


def test_a_link_that_is_cut_and_mended_carries_pods_again(three: Machine, addresses: dict[str, str]) -> None:
    link = segment_of(three).host_link(3)
    three.run("ip", "link", "set", link, "down")
    assert not fetches(three, 0, addresses[NODES[2]], seconds=1)
    three.run("ip", "link", "set", link, "up")
    recovery("link cut and mended", lambda: fetches(three, 0, addresses[NODES[2]], seconds=1) or None)


def test_a_node_that_loses_its_routes_with_its_own_link_finds_them_again(
    three: Machine, addresses: dict[str, str]
) -> None:
    inside = ("nsenter", f"--net={three.layout.namespace(3)}", "ip", "link", "set", "eth0")
    three.run(*inside, "down")
    three.run(*inside, "up")
    gateway = segment_of(three).address(1)
    three.run("nsenter", f"--net={three.layout.namespace(3)}", "ip", "route", "replace", "default", "via", gateway)
    recovery("node's own link down and up", lambda: fetches(three, 0, addresses[NODES[2]], seconds=1) or None)
    recovery("and the other way", lambda: fetches(three, 2, addresses[NODES[0]], seconds=1) or None)


def test_addresses_are_given_back(three: Machine, image: str, addresses: dict[str, str]) -> None:
    def held() -> set[str]:
        return {file.name for file in (three.layout.node_dir(2) / "run" / "network").iterdir()}

    before = held()
    three.apply(*(on(NODES[1], pod(f"short-{n}", container(image))) for n in range(3)))
    for n in range(3):
        three.wait_pod(f"short-{n}", is_running)
    assert len(held() - before) == 3
    three.kubectl("delete", "pod", "short-0", "short-1", "short-2", "--wait=false")
    for n in range(3):
        three.gone(f"short-{n}")
    eventually(lambda: held() == before, "addresses are free again")


def test_host_ports_lead_to_the_pod_from_everywhere(three: Machine, image: str, addresses: dict[str, str]) -> None:
    ports = [{"containerPort": 80, "hostPort": 8070}]
    three.apply(on(NODES[1], pod("published", container(image, SERVE, ports=ports))))
    three.wait_pod("published", is_ready)
    address = segment_of(three).address(2)

    def ask(host: str) -> str:
        return f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {host} 8070"

    def answers(*words: str) -> bool | None:
        return three.run(*words, check=False).out.endswith("\nhello\n") or None

    eventually(lambda: answers("busybox", "sh", "-c", ask(address)), "from the machine")
    inside = ("nsenter", f"--net={three.layout.namespace(2)}", "busybox", "sh", "-c")
    assert answers(*inside, ask("127.0.0.1")), "over the node's own loopback"
    for name in ("web-0", "published"):
        assert answers(KUBECTL.as_posix(), "exec", name, "--", "sh", "-c", ask(address)), f"from {name}"
    clash = on(NODES[1], pod("clash", container(image, SERVE, ports=ports)))
    three.apply(clash)
    refused = three.wait_pod("clash", lambda p: p["status"]["phase"] == "Failed")
    assert refused["status"]["reason"] == "NodePorts"
    three.kubectl("delete", "pod", "published", "clash", "--wait=false")
    three.gone("published")
    assert not answers("busybox", "sh", "-c", ask(address))
