"""From objects to routes, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from nodeagent.ingress.plan import Plan, World, class_names, is_ours, plan
from nodeagent.ingress.routing import Route
from nodeagent.services.endpoints import NodeFacts
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.api.networking.ingress import Ingress
from tiphys.api.networking.ingressclass import IngressClass

SERVICES = ("root", "foo", "bar", "exact", "any", "fallback")


def ingress(name: str = "one", *rules: dict[str, Any], created: str = "2026-01-01T00:00:00Z", **spec: Any) -> Ingress:
    metadata = {"name": name, "namespace": "default", "creationTimestamp": created}
    annotations = spec.pop("annotations", {})
    body = {"ingressClassName": "tiphys", "rules": list(rules), **spec}
    return Ingress.model_validate({"metadata": {**metadata, "annotations": annotations}, "spec": body})


def backend(service: str, **port: Any) -> dict[str, Any]:
    return {"service": {"name": service, "port": port or {"number": 80}}}


def rule(host: str, *paths: tuple[str, str, str]) -> dict[str, Any]:
    items = [{"path": path, "pathType": kind, "backend": backend(service)} for path, kind, service in paths]
    return {"host": host, "http": {"paths": items}}


def service(name: str, *, kind: str = "ClusterIP", **spec: Any) -> Service:
    ports = [{"name": "web", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    return Service.model_validate(
        {"metadata": {"name": name, "namespace": "default"}, "spec": {"type": kind, "ports": ports, **spec}}
    )


def endpoints(service_name: str, *addresses: str, port: int = 8080, **conditions: bool) -> EndpointSlice:
    return EndpointSlice.model_validate(
        {
            "metadata": {"name": service_name, "namespace": "default"},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": conditions} for address in addresses],
            "ports": [{"name": "web", "port": port, "protocol": "TCP"}],
        }
    )


def planned(
    *ingresses: Ingress, services: list[Service] | None = None, slices: list[EndpointSlice] | None = None
) -> Plan:
    known = {one.metadata.name: one for one in (services or [service(name) for name in SERVICES])}
    found = slices if slices is not None else [endpoints(name, f"10.0.0.{n}") for n, name in enumerate(known, 1)]
    world = World(
        lambda namespace, name: known.get(name) if namespace == "default" else None,
        lambda namespace, name: [one for one in found if one.metadata.name == name],
        NodeFacts("n1"),
    )
    return plan(ingresses, world)


def named(route: Route | None) -> str:
    return route.backend.service if route is not None else "404"


SHOP = [
    rule("shop.example", ("/", "Prefix", "root"), ("/foo", "Prefix", "foo"), ("/foo/bar", "Prefix", "bar")),
    rule("shop.example", ("/foo", "Exact", "exact"), ("/impl", "ImplementationSpecific", "any")),
]
MATCHES = [
    ("shop.example", "/", "root"),
    ("shop.example", "/foo", "exact"),
    ("shop.example", "/foo/", "foo"),
    ("shop.example", "/foo/x/y/z", "foo"),
    ("shop.example", "/foobar", "root"),
    ("shop.example", "/foo/bar", "bar"),
    ("shop.example", "/foo/barbar", "foo"),
    ("shop.example", "/foo%2Fbar", "root"),
    ("shop.example", "/impl/x", "any"),
    ("other.example", "/", "404"),
    ("a.shop.example", "/", "404"),
]


@pytest.mark.parametrize(("host", "path", "expected"), MATCHES)
def test_the_longest_path_wins_and_exact_before_prefix(host: str, path: str, expected: str) -> None:
    assert named(planned(ingress("one", *SHOP)).table.route(host, path)) == expected


HOSTS = [
    rule("a.shop.example", ("/only", "Prefix", "foo")),
    rule("*.shop.example", ("/", "Prefix", "bar")),
    rule("", ("/any", "Prefix", "any")),
]
HOST_MATCHES = [
    ("a.shop.example", "/only", "foo"),
    ("a.shop.example", "/other", "bar"),
    ("b.shop.example", "/", "bar"),
    ("x.b.shop.example", "/", "404"),
    ("shop.example", "/", "404"),
    (".shop.example", "/", "404"),
    ("x.b.shop.example", "/any", "any"),
    ("a.shop.example", "/any", "bar"),
    ("", "/any", "any"),
]


@pytest.mark.parametrize(("host", "path", "expected"), HOST_MATCHES)
def test_an_exact_host_is_before_a_wildcard_of_one_label_before_none(host: str, path: str, expected: str) -> None:
    assert named(planned(ingress("one", *HOSTS)).table.route(host, path)) == expected


def test_default_backends_are_of_their_hosts_or_of_everything() -> None:
    of_hosts = ingress("one", rule("a.example", ("/x", "Exact", "foo")), defaultBackend=backend("bar"))
    of_all = ingress("two", defaultBackend=backend("fallback"))
    table = planned(of_hosts, of_all).table
    found = [named(table.route(host, path)) for host, path in (("a.example", "/x"), ("a.example", "/y"), ("b", "/"))]
    assert found == ["foo", "bar", "fallback"]
    assert named(planned(of_hosts).table.route("b", "/")) == "404"


def test_the_oldest_ingress_keeps_what_two_claim() -> None:
    tls = [{"hosts": ["a.example"], "secretName": "old"}]
    old = ingress("z", rule("a.example", ("/", "Prefix", "foo")), tls=tls)
    young = ingress(
        "a",
        rule("a.example", ("/", "Prefix", "bar")),
        created="2026-02-01T00:00:00Z",
        tls=[{"hosts": ["a.example"], "secretName": "new"}],
    )
    result = planned(young, old)
    assert named(result.table.route("a.example", "/")) == "foo"
    assert result.table.secret_for("a.example") == ("default", "old")
    assert len(result.problems["default", "a"]) == 2 and ("default", "z") not in result.problems


def test_endpoints_are_those_that_take_traffic_by_named_ports() -> None:
    one = ingress(
        "one", {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend("foo", name="web")}]}}
    )
    slices = [endpoints("foo", "10.0.0.1", "10.0.0.2"), endpoints("foo", "10.0.0.3", ready=False)]
    route = planned(one, slices=slices).table.route("x", "/")
    assert route is not None and route.backend.endpoints == (("10.0.0.1", 8080), ("10.0.0.2", 8080))


UNSERVED = [
    (backend("missing"), "Service 'missing' not found"),
    (backend("foo", name="dns"), "Service 'foo' has no TCP port dns"),
    (backend("foo", number=81), "Service 'foo' has no TCP port 81"),
    (backend("elsewhere"), "Service 'elsewhere' is an ExternalName, which is not served"),
    ({"resource": {"apiGroup": "x", "kind": "Bucket", "name": "b"}}, "only Services are served"),
]


@pytest.mark.parametrize(("target", "fault"), UNSERVED)
def test_what_cannot_be_served_has_a_route_without_endpoints(target: dict[str, Any], fault: str) -> None:
    one = ingress("one", {"http": {"paths": [{"path": "/x", "pathType": "Prefix", "backend": target}]}})
    known = [service("foo"), service("elsewhere", kind="ExternalName", externalName="metadata.internal")]
    result = planned(one, ingress("two", defaultBackend=backend("foo")), services=known)
    route = result.table.route("h", "/x")
    assert route is not None and (route.backend.endpoints, route.backend.fault) == ((), fault)
    assert result.problems["default", "one"] == [fault]


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"])
def test_addresses_that_mean_the_node_itself_get_no_traffic(address: str) -> None:
    one = ingress("one", defaultBackend=backend("foo"))
    route = planned(one, slices=[endpoints("foo", address)]).table.route("x", "/")
    assert route is not None and route.backend.endpoints == ()
    route = planned(one, slices=[endpoints("foo", "10.0.0.9")]).table.route("x", "/")
    assert route is not None and route.backend.endpoints == (("10.0.0.9", 8080),)


def test_only_our_class_is_served() -> None:
    classes = [
        IngressClass.model_validate({"metadata": {"name": name}, "spec": {"controller": controller}})
        for name, controller in (("tiphys", "tiphys.dev/ingress"), ("nginx", "k8s.io/ingress-nginx"))
    ]
    names = class_names(classes)
    annotated = {"annotations": {"kubernetes.io/ingress.class": "tiphys"}, "ingressClassName": None}
    assert is_ours(ingress(), names) and is_ours(ingress(**annotated), names)
    assert not is_ours(ingress(ingressClassName="nginx"), names)
    assert not is_ours(ingress(ingressClassName=None), names)


def test_annotations_bound_bodies_and_times() -> None:
    notes = {
        "tiphys.dev/max-body-bytes": "10",
        "tiphys.dev/timeout-seconds": "9999999",
        "tiphys.dev/https-redirect": "true",
    }
    route = planned(ingress("one", defaultBackend=backend("foo"), annotations=notes)).table.route("x", "/")
    assert route is not None and (route.max_body_bytes, route.timeout_seconds, route.https_redirect) == (
        10,
        3600.0,
        True,
    )
    broken = {"tiphys.dev/max-body-bytes": "-1", "tiphys.dev/timeout-seconds": "soon"}
    route = planned(ingress("one", defaultBackend=backend("foo"), annotations=broken)).table.route("x", "/")
    assert route is not None and (route.max_body_bytes, route.timeout_seconds, route.https_redirect) == (0, 0.0, False)
