"""Node: addresses, capacity, conditions, and the pods that use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiphys.api.quantity import milli, value
from tiphys.cli.describers.parts import age, heading, labels_and_annotations, time_text
from tiphys.cli.server import Server
from tiphys.clock import Clock

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
    name = obj["metadata"]["name"]
    prefix = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels") or {}
    roles = sorted(key[len(prefix) :] for key in labels if key.startswith(prefix))
    taints = [_taint(taint) for taint in spec.get("taints") or []] or ["<none>"]
    pods = server.get("/api/v1/pods", {"fieldSelector": f"spec.nodeName={name}"})["items"]
    return [
        *heading(obj, namespaced=False),
        f"Roles:\t{','.join(roles) or '<none>'}",
        *labels_and_annotations(obj),
        f"CreationTimestamp:\t{time_text(obj['metadata']['creationTimestamp'])}",
        f"Taints:\t{taints[0]}",
        *(f"\t{taint}" for taint in taints[1:]),
        f"Unschedulable:\t{'true' if spec.get('unschedulable') else 'false'}",
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
        *_pods(pods, clock),
    ]


def _taint(taint: dict[str, str]) -> str:
    return f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint['effect']}"


def _conditions(items: list[dict[str, Any]]) -> Iterator[str]:
    yield "Conditions:"
    yield "  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage"
    yield "  ----\t------\t-----------------\t------------------\t------\t-------"
    for item in items:
        beat, changed = time_text(item.get("lastHeartbeatTime")), time_text(item.get("lastTransitionTime"))
        yield f"  {item['type']}\t{item['status']}\t{beat}\t{changed}\t{item.get('reason')}\t{item.get('message')}"


def _pods(pods: list[dict[str, Any]], clock: Clock) -> Iterator[str]:
    live = [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]
    yield f"Non-terminated Pods:\t({len(live)} in total)"
    yield "  Namespace\tName\tCPU Requests\tMemory Requests\tAge"
    yield "  ---------\t----\t------------\t---------------\t---"
    for pod in live:
        cpu = memory = 0
        for container in pod["spec"]["containers"]:
            requests = (container.get("resources") or {}).get("requests") or {}
            cpu += milli(requests.get("cpu", "0"))
            memory += value(requests.get("memory", "0"))
        metadata = pod["metadata"]
        amounts = f"{cpu}m\t{memory // (1024 * 1024)}Mi"
        yield f"  {metadata['namespace']}\t{metadata['name']}\t{amounts}\t{age(metadata['creationTimestamp'], clock)}"
