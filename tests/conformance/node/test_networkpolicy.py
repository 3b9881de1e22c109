"""NetworkPolicy with real pods: what is refused, with the same connection as the control before and after."""

from __future__ import annotations

from tests.conformance.api import Object, eventually
from tests.conformance.node.case import Case
from tests.conformance.node.manifests import container, once, pod

GROUP = "networking.k8s.io/v1"
SECONDS = 60
FIRST_PACKETS = 12  # pods that try at once, with their first instruction


def policy(case: Case, name: str, **spec: object) -> Object:
    body = {"metadata": {"name": name}, "spec": {"podSelector": {}, **spec}}
    return case.api.create(case.path("networkpolicies", group=GROUP), body)


def reaches(case: Case, source: str, address: str, port: int = 8080) -> bool:
    return case.try_exec(source, "/agnhost", "connect", f"{address}:{port}", "--timeout=1s").succeeded


def becomes(case: Case, source: str, address: str, expected: bool, port: int = 8080) -> None:
    what = f"{source} {'reaches' if expected else 'does not reach'} {address}:{port}"
    eventually(lambda: reaches(case, source, address, port) == expected, what, SECONDS, pause_seconds=0.2)


def server(case: Case, name: str, **labels: str) -> str:
    words = ("netexec", "--http-port=8080")
    made = case.run(pod(name, container(case.images.agnhost, *words), labels={"name": name, **labels}))
    address: str = made["status"]["podIP"]
    return address


def test_ingress_is_denied_and_allowed_by_pod_and_port(case: Case) -> None:
    address, _, _ = (server(case, name) for name in ("server", "friend", "stranger"))
    assert reaches(case, "friend", address) and reaches(case, "stranger", address)
    policy(case, "deny", policyTypes=["Ingress"])
    becomes(case, "stranger", address, expected=False)
    becomes(case, "friend", address, expected=False)
    assert reaches(case, "server", address)  # itself
    peer = {"podSelector": {"matchLabels": {"name": "friend"}}}
    selector = {"matchLabels": {"name": "server"}}
    policy(case, "allow", podSelector=selector, ingress=[{"from": [peer], "ports": [{"port": 8080}]}])
    becomes(case, "friend", address, expected=True)
    assert not reaches(case, "stranger", address)
    for name in ("deny", "allow"):
        case.api.delete(case.path("networkpolicies", name, group=GROUP))
    becomes(case, "stranger", address, expected=True)


def test_egress_is_denied_but_for_names_and_what_is_allowed(case: Case) -> None:
    address, _ = server(case, "server"), server(case, "client")
    assert reaches(case, "client", address)
    selector = {"matchLabels": {"name": "client"}}
    policy(case, "deny", podSelector=selector, policyTypes=["Egress"])
    becomes(case, "client", address, expected=False)
    assert reaches(case, "client", "10.96.0.10", 53)  # the node's own DNS
    policy(
        case,
        "some",
        podSelector=selector,
        policyTypes=["Egress"],
        egress=[{"to": [{"ipBlock": {"cidr": f"{address}/32"}}]}],
    )
    becomes(case, "client", address, expected=True)


def test_policies_are_in_force_before_the_first_packet(case: Case) -> None:
    """J4: pods that connect with their first instruction; those without a policy are the control."""
    address = server(case, "server")
    policy(case, "deny", podSelector={"matchLabels": {"jailed": "yes"}}, policyTypes=["Egress"])
    names = {}
    for number in range(FIRST_PACKETS):
        jailed = number % 3 != 0
        name = f"first-{number}"
        made = once(name, container(case.images.agnhost, "connect", f"{address}:8080", "--timeout=1s"))
        made["metadata"]["labels"] = {"jailed": "yes" if jailed else "no"}
        names[case.create(made)] = jailed
    for name, jailed in names.items():
        assert case.ended(name)["status"]["phase"] == ("Failed" if jailed else "Succeeded"), name
