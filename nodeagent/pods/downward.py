"""The downward API: fields and resources of a pod as text, for env variables and for volumes.  Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod
from tiphys.api.quantity import parse_quantity

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.*)'\]$", re.DOTALL)


class FieldUnavailable(ValueError):
    """The field path or resource means nothing here."""


@dataclass(frozen=True)
class NodeFacts:
    """What the downward API and the environment need to know of the node."""

    name: str
    ips: tuple[str, ...]
    allocatable: Mapping[str, str]  # resource name -> quantity; stands in for missing limits


def pod_field(pod: Pod, path: str, node: NodeFacts, pod_ips: tuple[str, ...]) -> str:
    """The text of `path` (metadata.name, metadata.labels['x'], status.podIP ...).  Raises FieldUnavailable."""
    meta = pod.metadata
    match = _SUBSCRIPT.match(path)
    if match:
        values = meta.labels if match.group(1) == "labels" else meta.annotations
        return values.get(match.group(2), "")
    simple = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "spec.nodeName": pod.spec.nodeName or node.name,
        "spec.serviceAccountName": pod.spec.serviceAccountName,
        "status.hostIP": node.ips[0] if node.ips else "",
        "status.hostIPs": ",".join(node.ips),
        "status.podIP": pod_ips[0] if pod_ips else "",
        "status.podIPs": ",".join(pod_ips),
    }
    if path in simple:
        return simple[path]
    if path == "metadata.labels":
        return format_map(meta.labels)
    if path == "metadata.annotations":
        return format_map(meta.annotations)
    raise FieldUnavailable(f"unsupported fieldPath: {path}")


def format_map(values: Mapping[str, str]) -> str:
    """Lines of key="value" with Go's quoting, sorted by key."""
    return "\n".join(f"{key}={_quote(values[key])}" for key in sorted(values))


def _quote(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(c, c if c.isprintable() else f"\\x{ord(c):02x}") for c in text) + '"'


def container_resource(container: Container, resource: str, divisor: str, node: NodeFacts) -> str:
    """limits.cpu, requests.memory ... divided and rounded up; a missing limit is the node's allocatable."""
    kind, _, name = resource.partition(".")
    if kind not in ("limits", "requests") or not name:
        raise FieldUnavailable(f"unsupported container resource : {resource}")
    limit = container.resources.limits.get(name, "")
    text = limit if kind == "limits" else container.resources.requests.get(name, "")
    if kind == "limits" and _zero(text):
        text = node.allocatable.get(name, "0")
    amount = Decimal(parse_quantity(text or "0"))
    unit = Decimal(parse_quantity(divisor)) if divisor and not _zero(divisor) else Decimal(1)
    return str((amount / unit).to_integral_value(ROUND_CEILING))


def _zero(text: str) -> bool:
    return not text or parse_quantity(text) == 0
