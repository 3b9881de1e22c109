"""Deployment and ReplicaSet."""

from __future__ import annotations

from typing import Any

from tiphys.cli.describers.containers import template_lines
from tiphys.cli.describers.parts import (
    conditions,
    controlled_by,
    heading,
    labels_and_annotations,
    selector_text,
    time_text,
)
from tiphys.cli.server import Server
from tiphys.clock import Clock


def describe(server: Server, obj: dict[str, Any], clock: Clock) -> list[str]:
    spec, status = obj["spec"], obj.get("status") or {}
    lines = heading(obj)
    if obj["kind"] == "Deployment":
        lines.append(f"CreationTimestamp:\t{time_text(obj['metadata']['creationTimestamp'])}")
        lines += labels_and_annotations(obj)
        lines.append(f"Selector:\t{selector_text(spec.get('selector'))}")
        lines.append(
            f"Replicas:\t{spec.get('replicas', 1)} desired | {status.get('updatedReplicas', 0)} updated | "
            f"{status.get('replicas', 0)} total | {status.get('availableReplicas', 0)} available | "
            f"{status.get('unavailableReplicas', 0)} unavailable"
        )
        lines += _strategy(spec)
    else:
        lines.append(f"Selector:\t{selector_text(spec.get('selector'))}")
        lines += labels_and_annotations(obj)
        lines += controlled_by(obj)
        lines.append(f"Replicas:\t{status.get('replicas', 0)} current / {spec.get('replicas', 1)} desired")
        lines.append(_pods_status(server, obj))
    lines += template_lines(spec["template"])
    lines += conditions(status.get("conditions") or [], reasons=True)
    if obj["kind"] == "Deployment":
        lines += _replica_sets(server, obj)
    return lines


def _strategy(spec: dict[str, Any]) -> list[str]:
    strategy = spec.get("strategy") or {}
    lines = [f"StrategyType:\t{strategy.get('type', '')}", f"MinReadySeconds:\t{spec.get('minReadySeconds', 0)}"]
    rolling = strategy.get("rollingUpdate")
    if rolling:
        bounds = f"{rolling.get('maxUnavailable')} max unavailable, {rolling.get('maxSurge')} max surge"
        lines.append(f"RollingUpdateStrategy:\t{bounds}")
    return lines


def _pods_status(server: Server, obj: dict[str, Any]) -> str:
    namespace, uid = obj["metadata"]["namespace"], obj["metadata"]["uid"]
    pods = server.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    phases = [
        pod.get("status", {}).get("phase", "")
        for pod in pods
        if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or [])
    ]
    counts = {name: phases.count(name) for name in ("Running", "Pending", "Succeeded", "Failed")}
    shown = {"Running": "Running", "Pending": "Waiting", "Succeeded": "Succeeded", "Failed": "Failed"}
    return "Pods Status:\t" + " / ".join(f"{counts[name]} {word}" for name, word in shown.items())


def _replica_sets(server: Server, deployment: dict[str, Any]) -> list[str]:
    namespace, uid = deployment["metadata"]["namespace"], deployment["metadata"]["uid"]
    revision = "deployment.kubernetes.io/revision"
    newest = (deployment["metadata"].get("annotations") or {}).get(revision)
    old: list[str] = []
    new: list[str] = []
    for item in server.get(f"/apis/apps/v1/namespaces/{namespace}/replicasets")["items"]:
        if not any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences") or []):
            continue
        created, wanted = item.get("status", {}).get("replicas", 0), item["spec"].get("replicas", 0)
        text = f"{item['metadata']['name']} ({created}/{wanted} replicas created)"
        (new if (item["metadata"].get("annotations") or {}).get(revision) == newest else old).append(text)
    return [f"OldReplicaSets:\t{', '.join(old) or '<none>'}", f"NewReplicaSet:\t{', '.join(new) or '<none>'}"]
