"""Priority: the number behind a pod's priorityClassName.

The two system classes hold even before their objects exist.
"""

from __future__ import annotations

from typing import Any

from apiserver.admission import Attributes, Plugin
from apiserver.resources import Resources

SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_PREEMPT = "PreemptLowerPriority"


class Priority(Plugin):
    kinds = frozenset({("", "pods")})

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def mutate(self, attributes: Attributes) -> None:
        if not attributes.is_for("", "pods") or attributes.subresource or attributes.obj is None:
            return
        spec = attributes.obj.setdefault("spec", {})
        if attributes.operation == "UPDATE":
            old = attributes.old["spec"] if attributes.old else {}
            for name in ("priority", "preemptionPolicy"):
                if name not in spec and name in old:
                    spec[name] = old[name]
            return
        value, policy = self._class_of(attributes, spec.get("priorityClassName", ""))
        if spec.get("priority") not in (None, value):
            raise attributes.refuse(
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority "
                f"admission controller computed {value} from the given PriorityClass name"
            )
        if spec.get("preemptionPolicy") not in (None, policy):
            raise attributes.refuse(
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name"
            )
        spec["priority"], spec["preemptionPolicy"] = value, policy

    def _class_of(self, attributes: Attributes, name: str) -> tuple[int, str]:
        if not name:
            return self._default()
        found: dict[str, Any] | None = self._resources.peek("scheduling.k8s.io", "priorityclasses", "", name)
        if found is not None:
            return found["value"], found.get("preemptionPolicy", _PREEMPT)
        if name in SYSTEM_CLASSES:
            return SYSTEM_CLASSES[name], _PREEMPT
        raise attributes.refuse(f"no PriorityClass with name {name} was found")

    def _default(self) -> tuple[int, str]:
        """The class marked globalDefault, the lowest where several are."""
        classes = self._resources.named("scheduling.k8s.io", "priorityclasses")
        defaults = [one for one in classes.peek_all("") if one.get("globalDefault")] if classes else []
        if not defaults:
            return 0, _PREEMPT
        lowest: dict[str, Any] = min(defaults, key=lambda one: one["value"])
        return lowest["value"], lowest.get("preemptionPolicy", _PREEMPT)
