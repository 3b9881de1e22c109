"""What the cluster's DNS says to each kind of question, as tables."""

from __future__ import annotations

import pytest

from nodeagent.dns import wire
from nodeagent.dns.answer import Elsewhere, answer
from nodeagent.dns.wire import AAAA, CNAME, NOERROR, NXDOMAIN, PTR, SOA, SRV, TXT, A, Reply
from nodeagent.dns.wire import NS as NAMESERVER
from tests.nodeagent.dns.cluster_objects import endpoint, endpoint_slice, example_zone, service, shown

ANSWERS = [
    ("kubernetes.default.svc.cluster.local", A, ["A 10.96.0.1"]),
    ("KUBERNETES.Default.svc.CLUSTER.local", A, ["A 10.96.0.1"]),
    ("web.shop.svc.cluster.local", A, ["A 10.96.0.7"]),
    ("web.shop.svc.cluster.local", AAAA, ["AAAA fd00::7"]),
    ("_http._tcp.web.shop.svc.cluster.local", SRV, ["SRV 80 web.shop.svc.cluster.local."]),
    ("_dns._udp.web.shop.svc.cluster.local", SRV, ["SRV 53 web.shop.svc.cluster.local."]),
    ("db.shop.svc.cluster.local", A, ["A 10.244.0.5", "A 10.244.0.6"]),
    ("db.shop.svc.cluster.local", AAAA, ["AAAA fd00::5"]),
    ("db-1.db.shop.svc.cluster.local", A, ["A 10.244.0.6"]),
    ("db-0.db.shop.svc.cluster.local", AAAA, ["AAAA fd00::5"]),
    ("10-244-0-9.web.shop.svc.cluster.local", A, ["A 10.244.0.9"]),
    (
        "_sql._tcp.db.shop.svc.cluster.local",
        SRV,
        ["SRV 5432 db-0.db.shop.svc.cluster.local.", "SRV 5432 db-1.db.shop.svc.cluster.local."],
    ),
    ("10-244-3-4.shop.pod.cluster.local", A, ["A 10.244.3.4"]),
    ("fd00--9.shop.pod.cluster.local", AAAA, ["AAAA fd00::9"]),
    ("1.0.96.10.in-addr.arpa", PTR, ["PTR kubernetes.default.svc.cluster.local."]),
    ("6.0.244.10.in-addr.arpa", PTR, ["PTR db-1.db.shop.svc.cluster.local."]),
    ("9.0.244.10.in-addr.arpa", PTR, ["PTR 10-244-0-9.web.shop.svc.cluster.local."]),
    ("7" + ".0" * 27 + ".0.0.d.f.ip6.arpa", PTR, ["PTR web.shop.svc.cluster.local."]),
    ("alias.shop.svc.cluster.local", A, ["CNAME web.shop.svc.cluster.local.", "A 10.96.0.7"]),
    ("out.shop.svc.cluster.local", CNAME, ["CNAME example.com."]),
    ("cluster.local", SOA, ["SOA"]),
    ("cluster.local", NAMESERVER, ["NS ns.dns.cluster.local."]),
    ("ns.dns.cluster.local", A, ["A 10.96.0.10"]),
    ("dns-version.cluster.local", TXT, ["TXT"]),
]


@pytest.mark.parametrize(("name", "kind", "expected"), ANSWERS, ids=lambda value: value if value is str else None)
def test_an_answer_has_the_records_of_the_specification(name: str, kind: int, expected: list[str]) -> None:
    found = answer(wire.name_of(name), kind, example_zone())
    assert isinstance(found, Reply)
    assert (found.rcode, sorted(map(shown, found.answers))) == (NOERROR, sorted(expected))


@pytest.mark.parametrize(
    ("name", "kind", "rcode"),
    [
        ("kubernetes.default.svc.cluster.local", AAAA, NOERROR),  # the name is there, the kind is not
        ("kubernetes.default.svc.cluster.local", 15, NOERROR),
        ("svc.cluster.local", A, NOERROR),
        ("shop.svc.cluster.local", A, NOERROR),
        ("_tcp.web.shop.svc.cluster.local", SRV, NOERROR),
        ("_http._tcp.web.shop.svc.cluster.local", A, NOERROR),
        ("10-244-3-4.shop.pod.cluster.local", AAAA, NOERROR),
        ("nothing.default.svc.cluster.local", A, NXDOMAIN),
        ("web.default.svc.cluster.local", A, NXDOMAIN),
        ("web.gone.svc.cluster.local", A, NXDOMAIN),
        ("gone.svc.cluster.local", A, NXDOMAIN),
        ("idle.shop.svc.cluster.local", A, NXDOMAIN),  # headless without a ready endpoint
        ("db-9.db.shop.svc.cluster.local", A, NXDOMAIN),
        ("_http._udp.web.shop.svc.cluster.local", SRV, NXDOMAIN),
        ("a.b.c.web.shop.svc.cluster.local", A, NXDOMAIN),
        ("10-244-3-4.gone.pod.cluster.local", A, NXDOMAIN),
        ("10-244-3-444.shop.pod.cluster.local", A, NXDOMAIN),
        ("example.com.shop.svc.cluster.local", A, NXDOMAIN),  # what a search list makes of names of the world
        ("4.3.244.10.in-addr.arpa", PTR, NXDOMAIN),
    ],
)
def test_what_is_not_there_says_so_with_the_start_of_authority(name: str, kind: int, rcode: int) -> None:
    found = answer(wire.name_of(name), kind, example_zone())
    assert isinstance(found, Reply)
    assert (found.rcode, found.answers, [shown(one) for one in found.authority]) == (rcode, (), ["SOA"])
    assert 5 <= found.authority[0].ttl_seconds <= 30


@pytest.mark.parametrize("name", ["example.com", "cluster.local.example.com", "8.8.8.8.in-addr.arpa", "local", "."])
def test_names_of_the_world_are_asked_elsewhere(name: str) -> None:
    assert answer(wire.name_of(name), A, example_zone()) == Elsewhere(wire.name_of(name))


def test_an_external_name_outside_of_the_cluster_is_asked_elsewhere_after_its_cname() -> None:
    found = answer(wire.name_of("out.shop.svc.cluster.local"), A, example_zone())
    assert isinstance(found, Elsewhere)
    assert (found.name, [shown(one) for one in found.chain]) == ((b"example", b"com"), ["CNAME example.com."])


def test_a_ring_of_external_names_ends() -> None:
    found = answer(wire.name_of("ring.shop.svc.cluster.local"), A, example_zone())
    assert isinstance(found, Reply)
    assert {shown(one) for one in found.answers} == {"CNAME ring.shop.svc.cluster.local."}


def test_srv_brings_the_addresses_along() -> None:
    found = answer(wire.name_of("_sql._tcp.db.shop.svc.cluster.local"), SRV, example_zone())
    assert isinstance(found, Reply)
    assert sorted(map(shown, found.additional)) == ["A 10.244.0.5", "A 10.244.0.6", "AAAA fd00::5"]


def test_an_endpoint_appears_when_it_is_ready_and_goes_when_it_is_not() -> None:
    zone = example_zone()
    name = wire.name_of("idle.shop.svc.cluster.local")
    waiting = endpoint_slice("idle", [endpoint("10.244.0.8", ready=False)], namespace="shop")
    ready = endpoint_slice("idle", [endpoint("10.244.0.8")], namespace="shop")
    before = zone.generation
    zone.slice_changed(waiting, ready)
    found = answer(name, A, zone)
    assert isinstance(found, Reply)
    assert [shown(one) for one in found.answers] == ["A 10.244.0.8"]
    assert zone.generation > before
    zone.slice_changed(ready, waiting)
    assert answer(name, A, zone).rcode == NXDOMAIN  # type: ignore[union-attr]
    assert zone.names_of(next(iter(zone.dns_addresses))) == []


def test_a_service_that_changes_its_type_leaves_nothing_behind() -> None:
    zone = example_zone()
    name = wire.name_of("out.shop.svc.cluster.local")
    before = service("out", "shop", type="ExternalName", externalName="Example.com")
    after = service("out", "shop", type="ClusterIP", clusterIP="10.96.0.99", ports=[{"port": 80}])
    zone.service_changed(before, after)
    assert [shown(one) for one in answer(name, A, zone).answers] == ["A 10.96.0.99"]  # type: ignore[union-attr]
    zone.service_changed(after, before)
    assert isinstance(answer(wire.name_of("99.0.96.10.in-addr.arpa"), PTR, zone), Elsewhere)


def test_a_change_that_changes_no_answer_keeps_the_generation() -> None:
    zone = example_zone()
    one = endpoint_slice("web", [endpoint("10.244.0.9", ready=None)], namespace="shop")
    before = zone.generation
    zone.slice_changed(one, one.model_copy(update={"kind": "EndpointSlice"}))
    assert zone.generation == before
