"""TaintNodesByCondition: a new node takes no pods before it has said that it is ready."""

from __future__ import annotations

from apiserver.admission import Attributes, Plugin

NOT_READY = "node.kubernetes.io/not-ready"


class TaintNodesByCondition(Plugin):
    kinds = frozenset({("", "nodes")})

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.operation != "CREATE" or not attributes.is_for("", "nodes") or attributes.subresource:
            return
        assert attributes.obj is not None
        spec = attributes.obj.setdefault("spec", {})
        taints = spec.get("taints", [])
        if not any(one.get("key") == NOT_READY and one.get("effect") == "NoSchedule" for one in taints):
            spec["taints"] = [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]
