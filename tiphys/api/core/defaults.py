"""What the server fills in for the kinds of the core group but Pod: services, secrets, namespaces, nodes, claims."""

import base64
from typing import Any

from tiphys.api.core import pod_defaults
from tiphys.api.declaration import sets_defaults

__all__ = ["pod_defaults"]

JsonObject = dict[str, Any]
DEFAULT_CLIENT_IP_TIMEOUT_SECONDS = 10800


@sets_defaults("io.k8s.api.core.v1.Namespace")
def namespace(obj: JsonObject) -> None:
    metadata = obj.setdefault("metadata", {})
    if name := metadata.get("name"):
        metadata["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": name}


@sets_defaults("io.k8s.api.core.v1.NamespaceStatus")
def namespace_status(status: JsonObject) -> None:
    if not status.get("phase"):
        status["phase"] = "Active"


@sets_defaults("io.k8s.api.core.v1.NodeStatus")
def node_status(status: JsonObject) -> None:
    if not status.get("allocatable") and status.get("capacity"):
        status["allocatable"] = dict(status["capacity"])


@sets_defaults("io.k8s.api.core.v1.Secret")
def secret(obj: JsonObject) -> None:
    """`stringData` is for writing only: it ends up in `data`."""
    if plain := obj.pop("stringData", None):
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}
    if not obj.get("type"):
        obj["type"] = "Opaque"


@sets_defaults("io.k8s.api.core.v1.Service")
def service(obj: JsonObject) -> None:
    spec = obj.setdefault("spec", {})
    _session_affinity(spec)
    if not spec.get("type"):
        spec["type"] = "ClusterIP"
    for port in spec.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port", 0)
    if _is_externally_accessible(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec["type"] in ("NodePort", "LoadBalancer", "ClusterIP") and spec.get("internalTrafficPolicy") is None:
        spec["internalTrafficPolicy"] = "Cluster"
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for ingress in obj.get("status", {}).get("loadBalancer", {}).get("ingress") or ():
            if ingress.get("ip") and ingress.get("ipMode") is None:
                ingress["ipMode"] = "VIP"


def _session_affinity(spec: JsonObject) -> None:
    if not spec.get("sessionAffinity"):
        spec["sessionAffinity"] = "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client_ip = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client_ip.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": DEFAULT_CLIENT_IP_TIMEOUT_SECONDS}}


def _is_externally_accessible(spec: JsonObject) -> bool:
    return spec["type"] in ("NodePort", "LoadBalancer") or (
        spec["type"] == "ClusterIP" and bool(spec.get("externalIPs"))
    )


@sets_defaults("io.k8s.api.core.v1.PersistentVolumeClaim")
def persistent_volume_claim(obj: JsonObject) -> None:
    status = obj.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Pending"


@sets_defaults("io.k8s.api.core.v1.PersistentVolumeClaimSpec")
def persistent_volume_claim_spec(spec: JsonObject) -> None:
    spec.setdefault("volumeMode", "Filesystem")


@sets_defaults("io.k8s.api.core.v1.PersistentVolume")
def persistent_volume(obj: JsonObject) -> None:
    spec, status = obj.setdefault("spec", {}), obj.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Pending"
    if not spec.get("persistentVolumeReclaimPolicy"):
        spec["persistentVolumeReclaimPolicy"] = "Retain"
    spec.setdefault("volumeMode", "Filesystem")


@sets_defaults("io.k8s.api.core.v1.LimitRangeItem")
def limit_range_item(item: JsonObject) -> None:
    """Container limits: default comes from max, defaultRequest from default, then from min."""
    if item.get("type") != "Container":
        return
    defaults = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **defaults, **(item.get("defaultRequest") or {})}
    if defaults:
        item["default"] = defaults
    if requests:
        item["defaultRequest"] = requests


@sets_defaults("io.k8s.api.core.v1.EndpointPort")
def endpoint_port(port: JsonObject) -> None:
    if not port.get("protocol"):
        port["protocol"] = "TCP"


@sets_defaults("io.k8s.api.core.v1.ReplicationController")
def replication_controller(obj: JsonObject) -> None:
    spec, metadata = obj.setdefault("spec", {}), obj.setdefault("metadata", {})
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        if not metadata.get("labels"):
            metadata["labels"] = dict(labels)
    spec.setdefault("replicas", 1)
