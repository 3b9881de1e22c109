"""Pod."""

from __future__ import annotations

from typing import Any

from tiphys.cli.describers.containers import container_lines, toleration_lines
from tiphys.cli.describers.parts import (
    conditions,
    controlled_by,
    heading,
    labels_and_annotations,
    mapping,
    time_text,
)
from tiphys.cli.describers.volumes import volume_lines
from tiphys.cli.server import Server
from tiphys.clock import Clock


def describe(server: Server, obj: dict[str, Any], clock: Clock) -> list[str]:
    spec, status, metadata = obj["spec"], obj.get("status") or {}, obj["metadata"]
    node = f"{spec['nodeName']}/{status.get('hostIP', '')}" if spec.get("nodeName") else "<none>"
    lines = [
        *heading(obj),
        f"Priority:\t{spec.get('priority', 0)}",
        f"Service Account:\t{spec.get('serviceAccountName', '')}",
        f"Node:\t{node}",
        f"Start Time:\t{time_text(status.get('startTime'))}",
        *labels_and_annotations(obj),
    ]
    if metadata.get("deletionTimestamp"):
        lines.append(f"Status:\tTerminating (since {time_text(metadata['deletionTimestamp'])})")
        lines.append(f"Termination Grace Period:\t{metadata.get('deletionGracePeriodSeconds', 0)}s")
    else:
        lines.append(f"Status:\t{status.get('phase', '')}")
    for title, field in (("Reason", "reason"), ("Message", "message")):
        if status.get(field):
            lines.append(f"{title}:\t{status[field]}")
    lines.append(f"IP:\t{status.get('podIP', '')}")
    addresses = [item["ip"] for item in status.get("podIPs") or []]
    lines += ["IPs:", *(f"  IP:\t{address}" for address in addresses)] if addresses else ["IPs:\t<none>"]
    lines += controlled_by(obj)
    initial = spec.get("initContainers") or []
    lines += container_lines("Init Containers", initial, status.get("initContainerStatuses") or [], obj)
    lines += container_lines("Containers", spec["containers"], status.get("containerStatuses") or [], obj)
    lines += conditions(status.get("conditions") or [], reasons=False)
    lines += volume_lines(spec.get("volumes"))
    lines.append(f"QoS Class:\t{status.get('qosClass', '')}")
    lines += mapping("Node-Selectors", spec.get("nodeSelector"))
    return [*lines, *toleration_lines(spec)]
