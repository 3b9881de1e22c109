"""DefaultIngressClass: an Ingress that names no class gets the one marked as default, the newest where several are."""

from __future__ import annotations

from apiserver.admission import Attributes, Plugin
from apiserver.resources import Resources

_MARK, _OLD_CLASS = "ingressclass.kubernetes.io/is-default-class", "kubernetes.io/ingress.class"


class DefaultIngressClass(Plugin):
    kinds = frozenset({("networking.k8s.io", "ingresses")})

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.operation != "CREATE" or not attributes.is_for("networking.k8s.io", "ingresses"):
            return
        if attributes.subresource or attributes.obj is None:
            return
        spec = attributes.obj.setdefault("spec", {})
        annotations = attributes.obj["metadata"].get("annotations") or {}
        if spec.get("ingressClassName") is not None or _OLD_CLASS in annotations:
            return
        classes = self._resources.named("networking.k8s.io", "ingressclasses")
        found = classes.peek_all() if classes is not None else []
        marked = [one["metadata"] for one in found if (one["metadata"].get("annotations") or {}).get(_MARK) == "true"]
        if marked:
            marked.sort(key=lambda one: one["name"])
            newest = max(marked, key=lambda one: one.get("creationTimestamp", ""))
            spec["ingressClassName"] = newest["name"]
