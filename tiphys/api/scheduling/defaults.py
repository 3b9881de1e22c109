"""What the server fills in for priority classes."""

from typing import Any

from tiphys.api.declaration import sets_defaults


@sets_defaults("io.k8s.api.scheduling.v1.PriorityClass")
def priority_class(obj: dict[str, Any]) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")
