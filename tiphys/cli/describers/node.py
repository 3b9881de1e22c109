"""Node: addresses, capacity, conditions, its lease, and the pods that use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiphys.cli.describers.allocation import allocated_lines, pod_lines
from tiphys.cli.describers.parts import heading, labels_and_annotations, time_text
from tiphys.cli.errors import ServerError
from tiphys.cli.server import Server
from tiphys.clock import Clock

_ROLE_PREFIX = "node-role.kubernetes.io/"
_INFO = (
    ("Machine ID", "machineID"),
    ("System UUID", "systemUUID"),
    ("Boot ID", "bootID"),
    ("Kernel Version", "kernelVersion"),
    ("OS Image", "osImage"),
    ("Operating System", "operatingSystem"),
    ("Architecture", "architecture"),
    ("Container Runtime Version", "containerRuntimeVersion"),
    ("Kubelet Version", "kubeletVersion"),
)


def describe(server: Server, obj: dict[str, Any], clock: Clock) -> list[str]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    name, labels = obj["metadata"]["name"], obj["metadata"].get("labels") or {}
    roles = sorted(key[len(_ROLE_PREFIX) :] for key in labels if key.startswith(_ROLE_PREFIX))
    taints = [_taint(taint) for taint in spec.get("taints") or []] or ["<none>"]
    found = server.get("/api/v1/pods", {"fieldSelector": f"spec.nodeName={name}"})["items"]
    pods = [pod for pod in found if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]
    allocatable = status.get("allocatable") or status.get("capacity") or {}
    return [
        *heading(obj, namespaced=False),
        f"Roles:\t{','.join(roles) or '<none>'}",
        *labels_and_annotations(obj),
        f"CreationTimestamp:\t{time_text(obj['metadata']['creationTimestamp'])}",
        f"Taints:\t{taints[0]}",
        *(f"\t{taint}" for taint in taints[1:]),
        f"Unschedulable:\t{'true' if spec.get('unschedulable') else 'false'}",
        *_lease(server, name),
        *_conditions(status.get("conditions") or []),
        "Addresses:",
        *(f"  {item['type']}:\t{item['address']}" for item in status.get("addresses") or []),
        "Capacity:",
        *(f"  {key}:\t{amount}" for key, amount in sorted((status.get("capacity") or {}).items())),
        "Allocatable:",
        *(f"  {key}:\t{amount}" for key, amount in sorted((status.get("allocatable") or {}).items())),
        "System Info:",
        *(f"  {title}:\t{(status.get('nodeInfo') or {}).get(field, '')}" for title, field in _INFO),
        *([f"PodCIDR:\t{spec['podCIDR']}"] if spec.get("podCIDR") else []),
        *([f"PodCIDRs:\t{','.join(spec['podCIDRs'])}"] if spec.get("podCIDRs") else []),
        *([f"ProviderID:\t{spec['providerID']}"] if spec.get("providerID") else []),
        *pod_lines(pods, allocatable, clock),
        *allocated_lines(pods, allocatable),
    ]


def _taint(taint: dict[str, str]) -> str:
    return f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint['effect']}"


def _lease(server: Server, name: str) -> list[str]:
    try:
        spec = server.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}").get("spec") or {}
    except ServerError:
        return []
    return [
        "Lease:",
        f"  HolderIdentity:\t{spec.get('holderIdentity') or '<unset>'}",
        f"  AcquireTime:\t{time_text(spec.get('acquireTime'))}",
        f"  RenewTime:\t{time_text(spec.get('renewTime'))}",
    ]


def _conditions(items: list[dict[str, Any]]) -> Iterator[str]:
    yield "Conditions:"
    yield "  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage"
    yield "  ----\t------\t-----------------\t------------------\t------\t-------"
    for item in items:
        beat, changed = time_text(item.get("lastHeartbeatTime")), time_text(item.get("lastTransitionTime"))
        reason, message = item.get("reason", ""), item.get("message", "")
        yield f"  {item['type']} \t{item['status']} \t{beat} \t{changed} \t{reason} \t{message}"
