"""An autoscaler's conditions, and whether its status says anything new.  Pure."""

from __future__ import annotations

from datetime import datetime

from tiphys.api.autoscaling.horizontalpodautoscaler_v2 import HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition
from tiphys.api.times import format_time


def with_condition(
    autoscaler: HorizontalPodAutoscaler, type: str, status: bool, reason: str, message: str, now: datetime
) -> HorizontalPodAutoscaler:
    """With that condition; its time moves only when its status does."""
    held = {one.type: one for one in autoscaler.status.conditions}
    before, word = held.get(type), "True" if status else "False"
    at = before.lastTransitionTime if before is not None and before.status == word else format_time(now)
    held[type] = HorizontalPodAutoscalerCondition(
        type=type, status=word, reason=reason, message=message, lastTransitionTime=at
    )
    new = autoscaler.status.model_copy(update={"conditions": list(held.values())})
    return autoscaler.model_copy(update={"status": new})


def changed_status(old: HorizontalPodAutoscaler, new: HorizontalPodAutoscaler) -> bool:
    return old.status.to_dict() != new.status.to_dict()
