"""Lines that several descriptions share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import format_datetime
from typing import Any

from tiphys.api.times import human_duration, parse_time
from tiphys.clock import Clock

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ANNOTATION_WIDTH = 140


def time_text(text: str | None) -> str:
    """Mon, 02 Jan 2026 03:04:05 +0000."""
    return format_datetime(parse_time(text)) if text else "<unset>"


def age(text: str, clock: Clock) -> str:
    return human_duration((clock.now() - parse_time(text)).total_seconds())


def mapping(title: str, values: Mapping[str, str] | None, separator: str = "=") -> list[str]:
    """`Labels:  a=b` with one more line per entry."""
    if not values:
        return [f"{title}:\t<none>"]
    entries = [f"{key}{separator}{value}" for key, value in sorted(values.items())]
    return [f"{title}:\t{entries[0]}", *(f"\t{entry}" for entry in entries[1:])]


def heading(obj: Mapping[str, Any], *, namespaced: bool = True) -> list[str]:
    metadata = obj["metadata"]
    lines = [f"Name:\t{metadata['name']}"]
    if namespaced:
        lines.append(f"Namespace:\t{metadata.get('namespace', '')}")
    return lines


def labels_and_annotations(obj: Mapping[str, Any]) -> list[str]:
    metadata = obj["metadata"]
    return [
        *mapping("Labels", metadata.get("labels")),
        *annotation_lines(metadata),
    ]


def annotation_lines(metadata: Mapping[str, Any]) -> list[str]:
    """`Annotations:`; a long or many-lined value stands below its key.  What `kubectl apply` noted is left out."""
    lines: list[str] = []
    for key, value in sorted((metadata.get("annotations") or {}).items()):
        if key == LAST_APPLIED:
            continue
        text = value.removesuffix("\n")
        if len(text) + len(key) + 2 > ANNOTATION_WIDTH or "\n" in text:
            lines += [f"{key}:", *(f"  {_shortened(line)}" for line in text.split("\n"))]
        else:
            lines.append(f"{key}: {text}")
    if not lines:
        return ["Annotations:\t<none>"]
    return [f"Annotations:\t{lines[0]}", *(f"\t{line}" for line in lines[1:])]


def _shortened(line: str) -> str:
    limit = ANNOTATION_WIDTH - 2
    return line if len(line) <= limit else line[:limit] + "..."


def controlled_by(obj: Mapping[str, Any]) -> list[str]:
    for owner in obj["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            return [f"Controlled By:\t{owner['kind']}/{owner['name']}"]
    return []


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """app=web,tier in (a,b); <none> when there is none."""
    if not selector:
        return "<none>"
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for item in selector.get("matchExpressions") or []:
        operator = {"In": "in", "NotIn": "notin"}.get(item["operator"])
        values = ",".join(item.get("values") or [])
        exists = item["key"] if item["operator"] == "Exists" else f"!{item['key']}"
        terms.append(f"{item['key']} {operator} ({values})" if operator else exists)
    return ",".join(terms) or "<none>"


def conditions(items: Sequence[Mapping[str, Any]], *, reasons: bool) -> list[str]:
    """A table of conditions; with reasons for workloads, without for pods."""
    if not items:
        return []
    if not reasons:
        rows = [f"  {item['type']} \t{item['status']} " for item in items]
        return ["Conditions:", "  Type\tStatus", *rows]
    rows = [f"  {item['type']} \t{item['status']}\t{item.get('reason', '')}" for item in items]
    return ["Conditions:", "  Type\tStatus\tReason", "  ----\t------\t------", *rows]
