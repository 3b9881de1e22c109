"""NodeRestriction: a node's identity writes its own Node, and only pods that run on it.

What must stay true: the node's name comes from the credential, never from the request.
"""

from __future__ import annotations

from typing import Any

from apiserver.admission import Attributes, Plugin

_PREFIX = "system:node:"
_FINALIZER = "tiphys.dev/local-path"


class NodeRestriction(Plugin):
    async def mutate(self, attributes: Attributes) -> None:
        user = attributes.user
        if not user.name.startswith(_PREFIX) or "system:nodes" not in user.groups:
            return
        node = user.name.removeprefix(_PREFIX)
        if attributes.is_for("", "nodes"):
            self._check_node(attributes, node)
        elif attributes.is_for("", "pods"):
            self._check_pod(attributes, node)
        elif attributes.is_for("", "persistentvolumes"):
            self._check_volume(attributes, node)
        elif attributes.is_for("coordination.k8s.io", "leases") and attributes.name != node:
            raise attributes.refuse("can only access node lease with the same name as the requesting node")

    def _check_node(self, attributes: Attributes, node: str) -> None:
        if attributes.name != node:
            raise attributes.refuse(f'node "{node}" is not allowed to modify node "{attributes.name}"')
        if attributes.operation == "DELETE":
            raise attributes.refuse(f'node "{node}" is not allowed to delete nodes')
        if attributes.operation != "UPDATE" or attributes.subresource:
            return
        new, old = attributes.obj or {}, attributes.old or {}
        if new.get("spec", {}).get("taints") != old.get("spec", {}).get("taints"):
            raise attributes.refuse(f'node "{node}" is not allowed to modify taints')

    def _check_volume(self, attributes: Attributes, node: str) -> None:
        """Of a volume that is being deleted a node may take off the finalizer that waits for it, and nothing else."""
        if attributes.operation != "UPDATE" or _without_finalizer(attributes.obj) != _without_finalizer(attributes.old):
            raise attributes.refuse(f'node "{node}" can only remove the finalizer "{_FINALIZER}" of volumes')

    def _check_pod(self, attributes: Attributes, node: str) -> None:
        if attributes.operation == "CREATE" and attributes.subresource in ("", None):
            pod = attributes.obj or {}
            if "kubernetes.io/config.mirror" not in pod.get("metadata", {}).get("annotations", {}):
                raise attributes.refuse(
                    f'pod does not have "kubernetes.io/config.mirror" annotation, node "{node}" can only create mirror '
                    "pods"
                )
            return
        if attributes.operation == "CREATE":
            return
        bound = (attributes.old or {}).get("spec", {}).get("nodeName", "")
        if bound != node:
            word = "delete pods" if attributes.operation == "DELETE" else "update status for pods"
            raise attributes.refuse(f'node "{node}" can only {word} with spec.nodeName set to itself')


def _without_finalizer(volume: dict[str, Any] | None) -> dict[str, Any]:
    """What of a volume a node must leave as it is."""
    content = dict(volume or {})
    meta = dict(content.get("metadata", {}))
    for name in ("managedFields", "resourceVersion", "generation"):
        meta.pop(name, None)
    meta["finalizers"] = [one for one in meta.get("finalizers") or [] if one != _FINALIZER]
    return {**content, "metadata": meta}
