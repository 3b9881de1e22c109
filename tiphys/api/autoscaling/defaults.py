"""What the server fills in for autoscalers of both versions."""

from typing import Any

from tiphys.api.declaration import sets_defaults

JsonObject = dict[str, Any]
CPU_GOAL_PERCENT = 80


@sets_defaults("io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler")
def horizontal_pod_autoscaler(obj: JsonObject) -> None:
    obj.setdefault("spec", {}).setdefault("minReplicas", 1)


@sets_defaults("io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler")
def horizontal_pod_autoscaler_v2(obj: JsonObject) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": CPU_GOAL_PERCENT}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is not None:
        up = behavior.setdefault("scaleUp", {})
        up.setdefault("stabilizationWindowSeconds", 0)
        _rules(up, [("Pods", 4), ("Percent", 100)])
        _rules(behavior.setdefault("scaleDown", {}), [("Percent", 100)])


def _rules(rules: JsonObject, policies: list[tuple[str, int]]) -> None:
    rules.setdefault("selectPolicy", "Max")
    if not rules.get("policies"):
        rules["policies"] = [{"type": kind, "value": value, "periodSeconds": 15} for kind, value in policies]
