"""Services with real pods and real packets, on one node: addresses, ports, affinity, types, endpoints."""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.api import Object, eventually
from tests.conformance.node.case import Case
from tests.conformance.node.manifests import container, pod
from tests.conformance.rows import row

SLICES = "discovery.k8s.io/v1"
SECONDS = 60
TRIES = 15
CLIENT = "client"


def server(case: Case, name: str, *ports: int, **labels: str) -> Object:
    """A pod that says its name over HTTP on each port, and over UDP on the first."""
    found = [
        container(case.images.agnhost, "netexec", f"--http-port={port}", f"--udp-port={port}", name=f"p{port}")
        for port in ports or (8080,)
    ]
    for one, port in zip(found, ports or (8080,), strict=True):
        one["ports"] = [{"name": f"port-{port}", "containerPort": port}]
    return pod(name, *found, labels={"name": name, "app": case.unique, **labels})


def start(case: Case, *names: str) -> None:
    """Servers and a client, side by side."""
    for name in names:
        case.create(server(case, name))
    case.create(pod(CLIENT, container(case.images.agnhost, "netexec", "--http-port=8080")))
    for name in (*names, CLIENT):
        case.running(name)


def service(case: Case, name: str = "svc", **spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    body = {"metadata": {"name": name}, "spec": {"selector": {"app": case.unique}, "ports": ports, **spec}}
    return case.api.create(case.path("services"), body)


def ask_often(case: Case, address: str, port: int = 80, tries: int = TRIES, protocol: str = "http") -> list[str]:
    """Who answers the client; [] if the last request failed."""
    query = f"host={address}&port={port}&protocol={protocol}&request=hostname&tries={tries}"
    script = f"printf 'GET /dial?{query} HTTP/1.0\\r\\n\\r\\n' | nc -w 20 127.0.0.1 8080"
    answer = case.shell(CLIENT, script).replace("\r", "").partition("\n\n")[2]
    found: list[str] = json.loads(answer or "{}").get("responses", [])
    return found


def ask(case: Case, address: str, port: int = 80, protocol: str = "http") -> str:
    """Who answers one request; "" if nobody does."""
    return "".join(ask_often(case, address, port, 1, protocol))


def answers(case: Case, address: str, port: int, *names: str) -> None:
    """Wait until just these answer (none: until nobody does)."""

    def probe() -> bool:
        return (
            set(ask_often(case, address, port, 4 * len(names))) == set(names) if names else not ask(case, address, port)
        )

    eventually(probe, f"{names or 'nobody'} at {address}:{port}", SECONDS, pause_seconds=0.2)


def sticks(case: Case, address: str, port: int, expected: bool) -> None:
    def probe() -> bool:
        found = ask_often(case, address, port)
        return len(found) == TRIES and (len(set(found)) == 1) == expected

    eventually(probe, f"affinity is {expected} at {address}:{port}", SECONDS, pause_seconds=0.2)


def node_address(case: Case) -> str:
    addresses = case.api.get(f"/api/v1/nodes/{case.node}")["status"]["addresses"]
    return str(next(one["address"] for one in addresses if one["type"] == "InternalIP"))


def node_port(made: Object) -> int:
    return int(made["spec"]["ports"][0]["nodePort"])


def hand_made(case: Case, name: str, address: str, port_name: str, port: int) -> None:
    body = {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "svc"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": port_name, "protocol": "TCP", "port": port}],
    }
    case.api.create(case.path("endpointslices", group=SLICES), body)


TWO_PORTS = [{"name": "one", "port": 80}, {"name": "two", "port": 81}]


@row(366, "EndpointSlice, multiple IPs, multiple ports")
def test_slices_by_hand_lead_each_port_to_its_pod(case: Case) -> None:
    start(case, "pod1", "pod2")
    address = service(case, selector=None, ports=TWO_PORTS)["spec"]["clusterIP"]
    hand_made(case, "first", case.pod("pod1")["status"]["podIP"], "one", 8080)
    hand_made(case, "second", case.pod("pod2")["status"]["podIP"], "two", 8080)
    answers(case, address, 80, "pod1")
    answers(case, address, 81, "pod2")


@row(367, "EndpointSlice, single IP, multiple ports")
def test_slices_by_hand_lead_two_ports_to_one_pod(case: Case) -> None:
    case.create(server(case, "pod1", 8090, 9090))
    start(case)
    case.running("pod1")
    address, ip = (
        service(case, selector=None, ports=TWO_PORTS)["spec"]["clusterIP"],
        case.pod("pod1")["status"]["podIP"],
    )
    hand_made(case, "first", ip, "one", 8090)
    hand_made(case, "second", ip, "two", 9090)
    answers(case, address, 80, "pod1")
    answers(case, address, 81, "pod1")


@row(391, "Service, NodePort type, session affinity to None")
def test_affinity_of_a_node_port_can_be_switched(case: Case) -> None:
    start(case, "a", "b", "c")
    made = service(case, type="NodePort", sessionAffinity="ClientIP")
    for affinity in ("ClientIP", "None", "ClientIP"):
        case.api.patch(case.path("services", "svc"), {"spec": {"sessionAffinity": affinity}})
        sticks(case, node_address(case), node_port(made), affinity == "ClientIP")


@row(392, "Service, ClusterIP type, session affinity to None")
def test_affinity_of_a_cluster_ip_can_be_switched(case: Case) -> None:
    start(case, "a", "b", "c")
    made = service(case, sessionAffinity="ClientIP")
    for affinity in ("ClientIP", "None", "ClientIP"):
        case.api.patch(case.path("services", "svc"), {"spec": {"sessionAffinity": affinity}})
        sticks(case, made["spec"]["clusterIP"], 80, affinity == "ClientIP")


@row(396, "Service, NodePort type, session affinity to ClientIP")
def test_clients_of_a_node_port_stay_with_one_pod(case: Case) -> None:
    start(case, "a", "b", "c")
    made = service(case, type="NodePort", sessionAffinity="ClientIP")
    sticks(case, node_address(case), node_port(made), expected=True)


@row(397, "Service, ClusterIP type, session affinity to ClientIP")
def test_clients_of_a_cluster_ip_stay_with_one_pod(case: Case) -> None:
    start(case, "a", "b", "c")
    made = service(case, sessionAffinity="ClientIP")
    sticks(case, made["spec"]["clusterIP"], 80, expected=True)


@row(398, "Service, endpoints")
def test_endpoints_follow_pods(case: Case) -> None:
    start(case)
    address = service(case)["spec"]["clusterIP"]
    answers(case, address, 80)
    case.run(server(case, "pod1"))
    answers(case, address, 80, "pod1")
    case.run(server(case, "pod2"))
    answers(case, address, 80, "pod1", "pod2")
    case.delete("pod1")
    answers(case, address, 80, "pod2")
    case.delete("pod2")
    answers(case, address, 80)


@row(399, "Service, should serve endpoints on same port and different protocols.")
def test_one_port_number_in_two_protocols(case: Case) -> None:
    start(case, "a")
    both = [{"name": name.lower(), "port": 80, "targetPort": 8080, "protocol": name} for name in ("TCP", "UDP")]
    address = service(case, ports=both)["spec"]["clusterIP"]

    def only(tcp_expected: bool, udp_expected: bool) -> None:
        def probe() -> bool:
            return (ask(case, address) == "a") == tcp_expected and (
                ask(case, address, 80, "udp") == "a"
            ) == udp_expected

        eventually(probe, f"TCP {tcp_expected}, UDP {udp_expected}", SECONDS, pause_seconds=0.2)

    only(tcp_expected=True, udp_expected=True)
    case.api.update(case.path("services", "svc"), lambda obj: obj["spec"].update(ports=both[:1]))
    only(tcp_expected=True, udp_expected=False)
    case.api.update(case.path("services", "svc"), lambda obj: obj["spec"].update(ports=both[1:]))
    only(tcp_expected=False, udp_expected=True)


@row(400, "Service, endpoints with multiple ports")
def test_each_port_reaches_the_pod_that_has_it(case: Case) -> None:
    start(case)
    ports = [
        {"name": f"p{port}", "port": number, "targetPort": f"port-{port}"} for number, port in ((80, 8100), (81, 8101))
    ]
    address = service(case, ports=ports)["spec"]["clusterIP"]
    case.run(server(case, "pod1", 8100))
    answers(case, address, 80, "pod1")
    answers(case, address, 81)
    case.run(server(case, "pod2", 8101))
    answers(case, address, 80, "pod1")
    answers(case, address, 81, "pod2")
    case.delete("pod1")
    answers(case, address, 80)
    answers(case, address, 81, "pod2")


@row(390, "Service, NodePort Service")
def test_a_node_port_is_reached_by_name_address_and_node(case: Case) -> None:
    start(case, "a", "b")
    everywhere(case, service(case, type="NodePort"))


@row(388, "Service, change type, ExternalName to NodePort")
def test_a_name_becomes_a_node_port(case: Case) -> None:
    start(case, "a", "b")
    service(case, type="ExternalName", externalName="foo.example.com", ports=None, selector=None)
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    spec = {"type": "NodePort", "externalName": None, "ports": ports, "selector": {"app": case.unique}}
    everywhere(case, case.api.patch(case.path("services", "svc"), {"spec": spec}))


@row(387, "Service, change type, ExternalName to ClusterIP")
def test_a_name_becomes_a_cluster_ip(case: Case) -> None:
    start(case, "a", "b")
    service(case, type="ExternalName", externalName="foo.example.com", ports=None, selector=None)
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    spec = {"type": "ClusterIP", "externalName": None, "ports": ports, "selector": {"app": case.unique}}
    made = case.api.patch(case.path("services", "svc"), {"spec": spec})
    answers(case, made["spec"]["clusterIP"], 80, "a", "b")
    answers(case, "svc", 80, "a", "b")


def everywhere(case: Case, made: Object) -> None:
    answers(case, made["spec"]["clusterIP"], 80, "a", "b")
    answers(case, node_address(case), node_port(made), "a", "b")
    answers(case, "svc", 80, "a", "b")


@row(386, "Service, change type, ClusterIP to ExternalName")
def test_a_cluster_ip_becomes_a_name(case: Case) -> None:
    becomes_a_name(case, "ClusterIP")


@row(389, "Service, change type, NodePort to ExternalName")
def test_a_node_port_becomes_a_name(case: Case) -> None:
    becomes_a_name(case, "NodePort")


def becomes_a_name(case: Case, kind: str) -> None:
    start(case, "a")
    service(case, "target")
    old = service(case, type=kind)
    answers(case, old["spec"]["clusterIP"], 80, "a")
    target = f"target.{case.namespace}.svc.cluster.local"
    spec = {"type": "ExternalName", "externalName": target, "clusterIP": "", "clusterIPs": None}
    named = case.api.patch(case.path("services", "svc"), {"spec": spec})
    assert "clusterIP" not in named["spec"] and "nodePort" not in named["spec"]["ports"][0]

    def probe() -> bool:
        return target in case.shell(CLIENT, f"nslookup svc.{case.namespace}.svc.cluster.local 2>&1 || true")

    eventually(probe, "the name leads to the other Service", SECONDS, pause_seconds=0.2)
    answers(case, "svc", 80, "a")
