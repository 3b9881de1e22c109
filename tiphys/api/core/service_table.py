"""How services are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, NONE, UNKNOWN, age_of, labels_text, name_of

JsonObject = dict[str, Any]

columns = (
    NAME,
    Column("Type", description="How the service can be reached."),
    Column("Cluster-IP", description="Its address inside the cluster."),
    Column("External-IP", description="Its addresses outside the cluster."),
    Column("Port(s)", description="The ports it listens on, with node ports behind a colon."),
    AGE,
    Column("Selector", priority=1, description="The labels of the pods behind it."),
)


def cells(service: JsonObject, now: datetime) -> list[Any]:
    spec = service.get("spec", {})
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP") or NONE]
    return [
        name_of(service),
        spec.get("type", ""),
        addresses[0],
        external_ip(service),
        ports_text(spec.get("ports") or []),
        age_of(service, now),
        labels_text(spec.get("selector")),
    ]


def external_ip(service: JsonObject) -> str:
    spec = service.get("spec", {})
    own = ",".join(spec.get("externalIPs") or ())
    type_ = spec.get("type")
    if type_ in ("ClusterIP", "NodePort"):
        return own or NONE
    if type_ == "LoadBalancer":
        ingress = (service.get("status", {}).get("loadBalancer") or {}).get("ingress") or ()
        given = sorted({item.get("ip") or item.get("hostname") or "" for item in ingress} - {""})
        return ",".join([*given, *(spec.get("externalIPs") or ())]) or "<pending>"
    return str(spec.get("externalName", "")) if type_ == "ExternalName" else UNKNOWN


def ports_text(ports: list[JsonObject]) -> str:
    """80/TCP,443:30443/TCP"""
    texts = []
    for port in ports:
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        texts.append(f"{port.get('port', 0)}{node_port}/{port.get('protocol', 'TCP')}")
    return ",".join(texts) or NONE
