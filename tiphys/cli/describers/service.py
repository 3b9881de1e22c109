"""Service."""

from __future__ import annotations

from typing import Any

from tiphys.cli.describers.parts import heading, labels_and_annotations
from tiphys.cli.errors import ServerError
from tiphys.cli.server import Server
from tiphys.clock import Clock

SHOWN_ENDPOINTS = 3


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
    slices = _slices(server, obj)
    for port in spec.get("ports") or []:
        protocol = port.get("protocol", "TCP")
        lines.append(f"Port:\t{port.get('name') or '<unset>'}\t{port['port']}/{protocol}")
        lines.append(f"TargetPort:\t{port.get('targetPort', port['port'])}/{protocol}")
        if port.get("nodePort"):
            lines.append(f"NodePort:\t{port.get('name') or '<unset>'}\t{port['nodePort']}/{protocol}")
        lines.append(f"Endpoints:\t{_endpoints(slices, port.get('name') or '')}")
    lines.append(f"Session Affinity:\t{spec.get('sessionAffinity', 'None')}")
    for title, field in (
        ("External Traffic Policy", "externalTrafficPolicy"),
        ("Internal Traffic Policy", "internalTrafficPolicy"),
    ):
        if spec.get(field):
            lines.append(f"{title}:\t{spec[field]}")
    return lines


def _slices(server: Server, service: dict[str, Any]) -> list[dict[str, Any]]:
    """The service's EndpointSlices; none where the server has no such resource."""
    metadata = service["metadata"]
    path = f"/apis/discovery.k8s.io/v1/namespaces/{metadata['namespace']}/endpointslices"
    try:
        found = server.get(path, {"labelSelector": f"kubernetes.io/service-name={metadata['name']}"})["items"]
    except ServerError:
        return []
    return sorted(found, key=lambda item: str(item["metadata"]["name"]))


def _endpoints(slices: list[dict[str, Any]], port_name: str) -> str:
    """10.0.0.1:80,10.0.0.2:80 + 3 more..., of the endpoints that are ready."""
    texts = []
    for item in slices:
        for port in item.get("ports") or []:
            if (port.get("name") or "") != port_name:
                continue
            for endpoint in item.get("endpoints") or []:
                if (endpoint.get("conditions") or {}).get("ready") is False:
                    continue
                for address in endpoint["addresses"]:
                    host = f"[{address}]" if ":" in address else address
                    texts.append(f"{host}:{port['port']}" if port.get("port") else address)
    more = f" + {len(texts) - SHOWN_ENDPOINTS} more..." if len(texts) > SHOWN_ENDPOINTS else ""
    return ",".join(texts[:SHOWN_ENDPOINTS]) + more or "<none>"
