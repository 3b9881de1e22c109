"""What the server fills in for autoscalers."""

from typing import Any

from tiphys.api.declaration import sets_defaults


@sets_defaults("io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler")
def horizontal_pod_autoscaler(obj: dict[str, Any]) -> None:
    obj.setdefault("spec", {}).setdefault("minReplicas", 1)
