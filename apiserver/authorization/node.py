"""Node: a node does what its pods need, and reads the secrets, config maps and volumes of those pods only.

Nodes also serve the Ingresses of our class: they read the certificates that these name, and publish their addresses.

What must stay true: the relation is read from the objects as they are now; a list of secrets without a name is never
allowed; a node's name comes from its credential.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver.authorization import Attributes, Decision, Rights
from apiserver.authorization.defaultroles import NODE
from apiserver.request import User
from apiserver.requestinfo import RequestInfo
from apiserver.resources import Resources

_PREFIX = "system:node:"
_LEASES = "kube-node-lease"
_READING = frozenset({"get", "list", "watch"})
_INGRESS_CONTROLLER = "tiphys.dev/ingress"
_LOCAL_PATH_NODE = "tiphys.dev/local-path-node"  # label of the volumes whose directory the named node keeps
_BY_POD = {
    "secrets": ("secret", _READING),
    "configmaps": ("configmap", _READING),
    "persistentvolumeclaims": ("persistentvolumeclaim", frozenset({"get"})),
}
Obj = dict[str, Any]
Answer = tuple[Decision, str]


class NodeAuthorizer:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def authorize(self, attributes: Attributes) -> Answer:
        user, info = attributes.user, attributes.info
        node = node_name(user)
        if not node:
            return Decision.NO_OPINION, ""
        if info.is_resource and not info.group and info.resource in _BY_POD and not info.subresource:
            return self._by_pod(node, info)
        if info.is_resource and not info.group and info.resource == "persistentvolumes":
            return self._volume(node, info)
        if info.is_resource and info.group == "coordination.k8s.io" and info.resource == "leases":
            return _own(node, info, _LEASES)
        if info.is_resource and info.group == "storage.k8s.io" and info.resource == "csinodes":
            return _own(node, info, "")
        if info.is_resource and (info.group, info.resource) == ("networking.k8s.io", "ingresses") and info.subresource:
            return self._ingress_status(node, info)
        return (Decision.ALLOW, "") if any(rule.allows(info) for rule in NODE) else (Decision.NO_OPINION, "")

    async def rights_of(self, user: User, namespace: str) -> Rights:
        if not node_name(user):
            return Rights(())
        return Rights((), incomplete=True, error="node authorizer does not support user rule resolution")

    def _by_pod(self, node: str, info: RequestInfo) -> Answer:
        word, verbs = _BY_POD[info.resource]
        if info.verb not in verbs:
            return Decision.NO_OPINION, f"can only read resources of this type: {word}"
        if not info.name:
            return Decision.NO_OPINION, f"No Object name found, can only read {info.resource} by name"
        for pod in self._pods_of(node, info.namespace):
            if info.name in _references(pod, info.resource):
                return Decision.ALLOW, ""
        if info.resource == "secrets" and self._is_certificate(info.namespace, info.name):
            return Decision.ALLOW, ""
        return _unrelated(node)

    def _is_certificate(self, namespace: str, name: str) -> bool:
        """An Ingress that the nodes serve names the secret under `tls`."""
        ingresses = self._resources.named("networking.k8s.io", "ingresses")
        for ingress in ingresses.peek_all(namespace) if ingresses and namespace else ():
            named = any(tls.get("secretName") == name for tls in ingress["spec"].get("tls", []))
            if named and self._is_served(ingress):
                return True
        return False

    def _is_served(self, ingress: Obj) -> bool:
        annotations = ingress["metadata"].get("annotations", {})
        name = ingress["spec"].get("ingressClassName") or annotations.get("kubernetes.io/ingress.class", "")
        found = self._resources.peek("networking.k8s.io", "ingressclasses", "", name) if name else None
        return found is not None and found["spec"].get("controller") == _INGRESS_CONTROLLER

    def _ingress_status(self, node: str, info: RequestInfo) -> Answer:
        if info.verb != "patch" or info.subresource != "status" or not info.name:
            return Decision.NO_OPINION, "can only patch the status of an ingress"
        found = self._resources.peek("networking.k8s.io", "ingresses", info.namespace, info.name)
        return (Decision.ALLOW, "") if found is not None and self._is_served(found) else _unrelated(node)

    def _volume(self, node: str, info: RequestInfo) -> Answer:
        """A persistent volume is a node's when a pod there uses the claim it is bound to.

        Volumes whose directory the node keeps it sees all, and of those being deleted it may say that it is gone
        (admission checks that it says nothing else)."""
        if info.verb in ("list", "watch") and not info.name:
            ours = info.label_selector == f"{_LOCAL_PATH_NODE}={node}"
            return (Decision.ALLOW, "") if ours else _unrelated(node)
        volume = self._resources.peek("", "persistentvolumes", "", info.name) if not info.subresource else None
        if info.verb == "patch" and volume is not None:
            meta = volume["metadata"]
            kept = meta.get("labels", {}).get(_LOCAL_PATH_NODE) == node and "deletionTimestamp" in meta
            return (Decision.ALLOW, "") if kept else _unrelated(node)
        if info.verb != "get":
            return _unrelated(node)
        claim = (volume or {}).get("spec", {}).get("claimRef", {})
        for pod in self._pods_of(node, claim.get("namespace", "")) if claim else ():
            if claim.get("name") in _references(pod, "persistentvolumeclaims"):
                return Decision.ALLOW, ""
        return _unrelated(node)

    def _pods_of(self, node: str, namespace: str) -> Iterator[Obj]:
        pods = self._resources.named("", "pods")
        for pod in pods.peek_all(namespace) if pods and namespace else ():
            if pod["spec"].get("nodeName") == node:
                yield pod


def node_name(user: User) -> str:
    """The node a credential speaks for; "" for everybody else."""
    if "system:nodes" not in user.groups or not user.name.startswith(_PREFIX):
        return ""
    return user.name.removeprefix(_PREFIX)


def _own(node: str, info: RequestInfo, namespace: str) -> Answer:
    """Objects that are the node's by their name; nodes list none of them through here."""
    if namespace and info.namespace != namespace:
        return Decision.NO_OPINION, f'can only access leases in the "{namespace}" system namespace'
    if info.verb not in ("get", "create", "update", "patch", "delete") or info.subresource:
        return Decision.NO_OPINION, "can only get, create, update, patch, or delete a node lease"
    if info.verb != "create" and info.name != node:
        return Decision.NO_OPINION, "can only access node lease with the same name as the requesting node"
    return Decision.ALLOW, ""


def _unrelated(node: str) -> Answer:
    return Decision.NO_OPINION, f"no relationship found between node '{node}' and this object"


def _references(pod: Obj, resource: str) -> set[str]:
    """The names of the secrets, config maps or claims a pod uses."""
    spec = pod["spec"]
    names = set()
    if resource == "persistentvolumeclaims":
        return set(_claims(pod))
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


def _claims(pod: Obj) -> Iterator[str]:
    for volume in pod["spec"].get("volumes", []):
        yield volume.get("persistentVolumeClaim", {}).get("claimName", "")
        if "ephemeral" in volume:
            yield f"{pod['metadata']['name']}-{volume['name']}"
