"""Pods and nodes for the scheduler's tests, with only what a test says."""

from __future__ import annotations

from itertools import count
from typing import Any

from scheduler.podinfo import PodInfo, pod_info
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod

_uids = count(1)


def make_node(
    name: str,
    *,
    cpu: str = "4",
    memory: str = "8Gi",
    pods: str = "110",
    labels: dict[str, str] | None = None,
    taints: list[dict[str, str]] | None = None,
    unschedulable: bool = False,
    **extended: str,
) -> Node:
    allocatable = {"cpu": cpu, "memory": memory, "pods": pods, **extended}
    return Node.model_validate(
        {
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {"taints": taints or [], "unschedulable": unschedulable},
            "status": {"allocatable": allocatable},
        }
    )


def make_pod(name: str = "p", *, requests: dict[str, str] | None = None, uid: str = "", **spec: Any) -> PodInfo:
    container: dict[str, Any] = {"name": "c", "image": "i", "resources": {"requests": requests or {}}}
    if ports := spec.pop("host_ports", None):
        container["ports"] = [{"containerPort": port, "hostPort": port} for port in ports]
    wire = {
        "metadata": {"name": name, "namespace": "default", "uid": uid or f"uid-{next(_uids)}"},
        "spec": {"containers": [container], **spec},
    }
    return pod_info(Pod.model_validate(wire))
