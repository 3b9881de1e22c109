"""Which EndpointSlices a Service should have, given its pods and the slices it has.  Pure.

Pods that resolve the Service's ports alike share slices of at most MAX_ENDPOINTS; an endpoint stays in the slice it is
in, so that one pod's change rewrites one slice and not all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controllers.podconditions import is_ready
from tiphys.api.core.pod import Pod
from tiphys.api.core.service import Service, ServicePort
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.client.ownership import owner_reference

MAX_ENDPOINTS = 100
SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGED_BY = "endpointslice-controller.k8s.io"
HEADLESS_LABEL = "service.kubernetes.io/headless"

Wire = dict[str, Any]


@dataclass
class Plan:
    create: list[Wire] = field(default_factory=list)
    update: list[tuple[EndpointSlice, Wire]] = field(default_factory=list)  # (slice, merge patch)
    delete: list[EndpointSlice] = field(default_factory=list)


def is_headless(service: Service) -> bool:
    return service.spec.clusterIP == "None"


def serves(pod: Pod) -> bool:
    """The pod has an address and has not ended; one that is going still counts, as terminating."""
    return bool(pod.status.podIP) and pod.status.phase not in ("Succeeded", "Failed")


def target_port(pod: Pod, port: ServicePort) -> int | None:
    """The number behind a port of the Service in this pod; None where the pod has no port of that name."""
    target = port.targetPort
    if isinstance(target, int) and target:
        return target
    if not target:
        return port.port
    for container in [*pod.spec.containers, *(one for one in pod.spec.initContainers if one.restartPolicy == "Always")]:
        for offered in container.ports:
            if offered.name == target and (offered.protocol or "TCP") == (port.protocol or "TCP"):
                return offered.containerPort
    return None


def ports_of(service: Service, pod: Pod) -> list[Wire]:
    found = []
    for port in service.spec.ports:
        number = target_port(pod, port)
        if number is not None:
            wire: Wire = {"name": port.name, "protocol": port.protocol or "TCP", "port": number}
            found.append({**wire, "appProtocol": port.appProtocol} if port.appProtocol else wire)
    return found


def endpoint_of(service: Service, pod: Pod, zone: str, address: str) -> Wire:
    serving, terminating = is_ready(pod), bool(pod.metadata.deletionTimestamp)
    meta = pod.metadata
    endpoint: Wire = {
        "addresses": [address],
        "conditions": {
            "ready": service.spec.publishNotReadyAddresses or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": {"kind": "Pod", "namespace": meta.namespace, "name": meta.name, "uid": meta.uid},
    }
    if pod.spec.nodeName:
        endpoint["nodeName"] = pod.spec.nodeName
    if zone:
        endpoint["zone"] = zone
    if pod.spec.hostname and pod.spec.subdomain == service.metadata.name:
        endpoint["hostname"] = pod.spec.hostname
    return endpoint


def labels_of(service: Service) -> dict[str, str]:
    labels = {**service.metadata.labels, SERVICE_LABEL: service.metadata.name, MANAGED_BY_LABEL: MANAGED_BY}
    if is_headless(service):
        labels[HEADLESS_LABEL] = ""
    return labels


def plan(service: Service, pods: Iterable[Pod], zones: Mapping[str, str], slices: Sequence[EndpointSlice]) -> Plan:
    """What to create, change and delete; `zones` is the zone of each node that has one."""
    todo = Plan()
    families = service.spec.ipFamilies or ["IPv4"]
    todo.delete += [held for held in slices if held.addressType not in families]
    for family in families:
        _plan_family(service, family, list(pods), zones, [one for one in slices if one.addressType == family], todo)
    return todo


def _plan_family(
    service: Service,
    family: str,
    pods: list[Pod],
    zones: Mapping[str, str],
    slices: Sequence[EndpointSlice],
    todo: Plan,
) -> None:
    groups: dict[str, tuple[list[Wire], dict[str, Wire]]] = {}  # ports as text to (ports, pod uid to endpoint)
    for pod in filter(serves, pods):
        address = _address(pod, family)
        if address:
            ports = ports_of(service, pod)
            _, members = groups.setdefault(repr(ports), (ports, {}))
            members[pod.metadata.uid] = endpoint_of(service, pod, zones.get(pod.spec.nodeName, ""), address)
    if not groups:
        groups[repr([])] = ([], {})  # an empty slice says that somebody looked and found nothing
    for held in slices:
        if repr(_ports(held)) not in groups:
            todo.delete.append(held)
    for text, (ports, members) in groups.items():
        mine = [held for held in slices if repr(_ports(held)) == text]
        _fill(service, family, ports, members, mine, todo)


def _address(pod: Pod, family: str) -> str:
    addresses = [one.ip for one in pod.status.podIPs] or [pod.status.podIP]
    return next((address for address in addresses if (":" in address) == (family == "IPv6")), "")


def _ports(held: EndpointSlice) -> list[Wire]:
    return [{**port.to_dict(), "name": port.name or ""} for port in held.ports]


def _fill(
    service: Service,
    family: str,
    ports: list[Wire],
    members: dict[str, Wire],
    slices: Sequence[EndpointSlice],
    todo: Plan,
) -> None:
    """Endpoints stay where they are, new ones fill the gaps, the rest goes into new slices; empty ones go."""
    contents: list[tuple[EndpointSlice, list[Wire]]] = []
    homeless = dict(members)
    for held in slices:
        uids = [endpoint.targetRef.uid for endpoint in held.endpoints if endpoint.targetRef is not None]
        contents.append((held, [homeless.pop(uid) for uid in uids if uid in homeless]))
    waiting = list(homeless.values())
    for _, endpoints in contents:
        room = MAX_ENDPOINTS - len(endpoints)
        endpoints += waiting[:room]
        waiting = waiting[room:]
    keep_one = not members
    labels = labels_of(service)
    for held, endpoints in contents:
        if not endpoints and not keep_one:
            todo.delete.append(held)
            continue
        keep_one = False
        if [one.to_dict() for one in held.endpoints] != endpoints or held.metadata.labels != labels:
            gone = dict.fromkeys(held.metadata.labels.keys() - labels.keys(), None)
            todo.update.append((held, {"metadata": {"labels": {**gone, **labels}}, "endpoints": endpoints}))
    while waiting or keep_one:
        keep_one = False
        todo.create.append(_new(service, family, ports, waiting[:MAX_ENDPOINTS]))
        waiting = waiting[MAX_ENDPOINTS:]


def _new(service: Service, family: str, ports: list[Wire], endpoints: list[Wire]) -> Wire:
    return {
        "metadata": {
            "generateName": f"{service.metadata.name}-",
            "namespace": service.metadata.namespace,
            "labels": labels_of(service),
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": family,
        "ports": ports,
        "endpoints": endpoints,
    }
