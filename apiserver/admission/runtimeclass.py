"""RuntimeClass: what the class of a pod asks for (overhead, where it may run) becomes the pod's.

What must stay true: a pod cannot claim an overhead of its own; a class that is not there refuses the pod.
"""

from __future__ import annotations

from typing import Any

from apiserver.admission import Attributes, Obj, Plugin
from apiserver.resources import Resources


class RuntimeClass(Plugin):
    kinds = frozenset({("", "pods")})

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def mutate(self, attributes: Attributes) -> None:
        found = await self._class_of(attributes)
        if found is None or attributes.obj is None:
            return
        spec = attributes.obj["spec"]
        overhead = (found.get("overhead") or {}).get("podFixed") or {}
        if overhead:
            if spec.get("overhead") not in (None, {}, overhead):
                raise attributes.refuse("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
            spec["overhead"] = dict(overhead)
        _add_scheduling(attributes, spec, found.get("scheduling") or {})

    async def validate(self, attributes: Attributes) -> None:
        found = await self._class_of(attributes)
        if not _is_pod_creation(attributes) or attributes.obj is None:
            return
        own = attributes.obj["spec"].get("overhead") or {}
        given = ((found or {}).get("overhead") or {}).get("podFixed") or {}
        if own and not given:
            raise attributes.refuse(
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            )
        if own != given:
            raise attributes.refuse("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")

    async def _class_of(self, attributes: Attributes) -> Obj | None:
        """The class that a new pod names; None if it names none.  403 if there is no such class."""
        if not _is_pod_creation(attributes) or attributes.obj is None:
            return None
        name: str = attributes.obj["spec"].get("runtimeClassName") or ""
        if not name:
            return None
        found = await self._resources.lookup("node.k8s.io", "runtimeclasses", "", name)
        if found is None:
            raise attributes.refuse(f'pod rejected: RuntimeClass "{name}" not found')
        return found


def _is_pod_creation(attributes: Attributes) -> bool:
    return attributes.is_for("", "pods") and not attributes.subresource and attributes.operation == "CREATE"


def _add_scheduling(attributes: Attributes, spec: Obj, scheduling: Obj) -> None:
    """The class's node selector and tolerations on top of the pod's."""
    wanted: dict[str, str] = scheduling.get("nodeSelector") or {}
    own: dict[str, str] = spec.get("nodeSelector") or {}
    for key, value in wanted.items():
        if own.get(key, value) != value:
            raise attributes.refuse(
                f"pod rejected: conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {own[key]}"
            )
    if wanted:
        spec["nodeSelector"] = {**own, **wanted}
    tolerations: list[Any] = spec.get("tolerations") or []
    added = [one for one in scheduling.get("tolerations") or [] if one not in tolerations]
    if added:
        spec["tolerations"] = [*tolerations, *added]
