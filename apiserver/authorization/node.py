"""Node: a node reads the secrets and config maps of the pods that run on it, and no others.

What must stay true: the relation is read from the pods as they are now; a list without a name is never allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver.authorization import Attributes, Decision
from apiserver.resources import Resources

_PREFIX = "system:node:"
_GUARDED = frozenset({"secrets", "configmaps"})
_READING = frozenset({"get", "list", "watch"})
Obj = dict[str, Any]


class NodeAuthorizer:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        user, info = attributes.user, attributes.info
        if "system:nodes" not in user.groups or not user.name.startswith(_PREFIX):
            return Decision.NO_OPINION, ""
        if not info.is_resource or info.group or info.resource not in _GUARDED or info.verb not in _READING:
            return Decision.NO_OPINION, ""
        node = user.name.removeprefix(_PREFIX)
        word = info.resource.removesuffix("s")
        if not info.name:
            return Decision.NO_OPINION, f"No Object name found, can only read {info.resource} by name"
        pods = self._resources.named("", "pods")
        for pod in pods.peek_all(info.namespace) if pods else ():
            if pod["spec"].get("nodeName") == node and info.name in _references(pod, info.resource):
                return Decision.ALLOW, ""
        return Decision.NO_OPINION, f"no relationship found between node '{node}' and this object ({word})"


def _references(pod: Obj, resource: str) -> set[str]:
    """The names of the secrets or config maps a pod uses."""
    spec = pod["spec"]
    names = set()
    if resource == "secrets":
        names |= {one["name"] for one in spec.get("imagePullSecrets", []) if "name" in one}
    env_key, from_key = ("secretKeyRef", "secretRef") if resource == "secrets" else ("configMapKeyRef", "configMapRef")
    for container in [
        *spec.get("initContainers", []),
        *spec.get("containers", []),
        *spec.get("ephemeralContainers", []),
    ]:
        for variable in container.get("env", []):
            names.add(variable.get("valueFrom", {}).get(env_key, {}).get("name", ""))
        for source in container.get("envFrom", []):
            names.add(source.get(from_key, {}).get("name", ""))
    names.update(_volume_names(spec, resource))
    return names


def _volume_names(spec: Obj, resource: str) -> Iterator[str]:
    for volume in spec.get("volumes", []):
        sources = volume.get("projected", {}).get("sources", [])
        if resource == "secrets":
            yield volume.get("secret", {}).get("secretName", "")
            yield from (source.get("secret", {}).get("name", "") for source in sources)
        else:
            yield volume.get("configMap", {}).get("name", "")
            yield from (source.get("configMap", {}).get("name", "") for source in sources)
