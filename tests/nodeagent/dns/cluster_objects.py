"""Objects for the tests of names, and a way to read what is answered."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence

from nodeagent.dns import wire
from nodeagent.dns.wire import Record
from nodeagent.dns.zone import Zone
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice

DOMAIN = "cluster.local"


def service(name: str, namespace: str = "default", **spec: object) -> Service:
    return Service.model_validate({"metadata": {"name": name, "namespace": namespace}, "spec": spec})


def endpoint(address: str, hostname: str = "", *, ready: bool | None = True) -> dict[str, object]:
    conditions = {} if ready is None else {"ready": ready}
    return {"addresses": [address], "conditions": conditions, **({"hostname": hostname} if hostname else {})}


def endpoint_slice(
    owner: str,
    endpoints: Sequence[dict[str, object]],
    *,
    name: str = "",
    namespace: str = "default",
    ports: Sequence[dict[str, object]] = ({"name": "http", "port": 8080, "protocol": "TCP"},),
    family: str = "IPv4",
) -> EndpointSlice:
    return EndpointSlice.model_validate(
        {
            "metadata": {
                "name": name or f"{owner}-1",
                "namespace": namespace,
                "labels": {"kubernetes.io/service-name": owner},
            },
            "addressType": family,
            "endpoints": list(endpoints),
            "ports": list(ports),
        }
    )


def example_zone() -> Zone:
    """Services of every kind, in the namespaces default and shop."""
    zone = Zone(
        wire.name_of(DOMAIN),
        (ipaddress.ip_address("10.96.0.10"),),
        (ipaddress.ip_network("10.244.0.0/16"),),
    )
    for namespace in ("default", "shop", "kube-system"):
        zone.namespace_changed(namespace, there=True)
    https = [{"name": "https", "port": 443, "protocol": "TCP"}]
    http = [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    for one in (
        service("kubernetes", clusterIP="10.96.0.1", clusterIPs=["10.96.0.1"], ports=https),
        service("web", "shop", clusterIP="10.96.0.7", clusterIPs=["10.96.0.7", "fd00::7"], ports=http),
        service("db", "shop", clusterIP="None", clusterIPs=["None"], ports=[{"name": "sql", "port": 5432}]),
        service("idle", "shop", clusterIP="None", ports=[{"name": "http", "port": 80}]),
        service("out", "shop", type="ExternalName", externalName="Example.com"),
        service("alias", "shop", type="ExternalName", externalName="web.shop.svc.cluster.local"),
        service("ring", "shop", type="ExternalName", externalName="ring.shop.svc.cluster.local"),
    ):
        zone.service_changed(None, one)
    sql = [{"name": "sql", "port": 5432, "protocol": "TCP"}]
    members = [endpoint("10.244.0.5", "db-0"), endpoint("10.244.0.6", "db-1"), endpoint("10.244.0.7", ready=False)]
    zone.slice_changed(None, endpoint_slice("db", members, namespace="shop", ports=sql))
    more = [endpoint("fd00::5", "db-0")]
    zone.slice_changed(None, endpoint_slice("db", more, name="db-6", namespace="shop", ports=sql, family="IPv6"))
    zone.slice_changed(None, endpoint_slice("web", [endpoint("10.244.0.9", ready=None)], namespace="shop"))
    zone.slice_changed(None, endpoint_slice("idle", [endpoint("10.244.0.8", ready=False)], namespace="shop"))
    return zone


def question(name: str, kind: int, *, ident: int = 7, udp_bytes: int = 0) -> bytes:
    labels = name.rstrip(".").split(".") if name.rstrip(".") else []
    packed = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0" + struct.pack("!HH", kind, 1)
    return wire.write_query(ident, wire.RD, packed, udp_bytes=udp_bytes)


def shown(record: Record) -> str:
    """A record as text: "A 10.0.0.1", "SRV 443 name.", "PTR name."."""
    kind = wire.TYPE_NAMES[record.kind]
    if record.kind in (wire.A, wire.AAAA):
        return f"{kind} {ipaddress.ip_address(record.data)}"
    if record.kind == wire.SRV:
        assert record.target is not None
        return f"{kind} {struct.unpack('!3H', record.data)[2]} {wire.text_of(record.target)}"
    if record.target is not None:
        return f"{kind} {wire.text_of(record.target)}"
    return kind
