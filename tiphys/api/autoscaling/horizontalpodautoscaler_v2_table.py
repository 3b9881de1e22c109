"""How autoscalers are printed: what they follow, as used/wanted."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, NONE, age_of, name_of

JsonObject = dict[str, Any]
UNKNOWN, AUTO, UNSET = "<unknown>", "<auto>", "<unset>"
_SHOWN = 2

columns = (
    NAME,
    Column("Reference", description="What is scaled."),
    Column("Targets", description="What is used, of what is wanted."),
    Column("MinPods", description="The lower bound of replicas."),
    Column("MaxPods", description="The upper bound of replicas."),
    Column("Replicas", description="How many replicas there are."),
    AGE,
)


def cells(obj: JsonObject, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    reference, minimum = spec.get("scaleTargetRef") or {}, spec.get("minReplicas")
    return [
        name_of(obj),
        f"{reference.get('kind', '')}/{reference.get('name', '')}",
        targets_text(spec.get("metrics") or [], status.get("currentMetrics") or []),
        UNSET if minimum is None else str(minimum),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age_of(obj, now),
    ]


def targets_text(metrics: list[JsonObject], statuses: list[JsonObject]) -> str:
    """cpu: 20%/80%, 5/10 (avg) + 1 more..."""
    if not metrics:
        return NONE
    texts = [_target(metric, statuses[index] if index < len(statuses) else {}) for index, metric in enumerate(metrics)]
    more = f" + {len(texts) - _SHOWN} more..." if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def _target(metric: JsonObject, status: JsonObject) -> str:
    kind = metric.get("type", "")
    name = kind[:1].lower() + kind[1:]
    source, target = metric.get(name) or {}, (metric.get(name) or {}).get("target") or {}
    current = (status.get(name) or {}).get("current") or {}
    if kind in ("Resource", "ContainerResource"):
        label = (
            f"{source.get('container', '')}/{source.get('name', '')}" if name != "resource" else source.get("name", "")
        )
        if target.get("averageValue") is not None:
            return f"{label}: {current.get('averageValue', UNKNOWN)}/{target['averageValue']}"
        used = current.get("averageUtilization")
        wanted = target.get("averageUtilization")
        return f"{label}: {UNKNOWN if used is None else f'{used}%'}/{AUTO if wanted is None else f'{wanted}%'}"
    if kind == "Pods":
        return f"{current.get('averageValue', UNKNOWN)}/{target.get('averageValue', '0')}"
    if kind in ("Object", "External"):
        if target.get("averageValue") is not None:
            return f"{current.get('averageValue', UNKNOWN)}/{target['averageValue']} (avg)"
        return f"{current.get('value', UNKNOWN)}/{target.get('value', '0')}"
    return "<unknown type>"
