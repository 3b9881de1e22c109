"""Service."""

from __future__ import annotations

from typing import Any

from tiphys.cli.describers.parts import heading, labels_and_annotations
from tiphys.cli.server import Server
from tiphys.clock import Clock


def describe(server: Server, obj: dict[str, Any], clock: Clock) -> list[str]:
    spec = obj["spec"]
    selector = ",".join(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items()))
    lines = [
        *heading(obj),
        *labels_and_annotations(obj),
        f"Selector:\t{selector or '<none>'}",
        f"Type:\t{spec.get('type', '')}",
        f"IP Family Policy:\t{spec.get('ipFamilyPolicy', '<none>')}",
        f"IP Families:\t{','.join(spec.get('ipFamilies') or ['<none>'])}",
        f"IP:\t{spec.get('clusterIP', '<none>')}",
        f"IPs:\t{','.join(spec.get('clusterIPs') or ['<none>'])}",
    ]
    if spec.get("externalName"):
        lines.append(f"External Name:\t{spec['externalName']}")
    for port in spec.get("ports") or []:
        protocol = port.get("protocol", "TCP")
        lines.append(f"Port:\t{port.get('name') or '<unset>'}\t{port['port']}/{protocol}")
        lines.append(f"TargetPort:\t{port.get('targetPort', port['port'])}/{protocol}")
        if port.get("nodePort"):
            lines.append(f"NodePort:\t{port.get('name') or '<unset>'}\t{port['nodePort']}/{protocol}")
    lines.append(f"Session Affinity:\t{spec.get('sessionAffinity', 'None')}")
    for title, field in (
        ("External Traffic Policy", "externalTrafficPolicy"),
        ("Internal Traffic Policy", "internalTrafficPolicy"),
    ):
        if spec.get(field):
            lines.append(f"{title}:\t{spec[field]}")
    return lines
