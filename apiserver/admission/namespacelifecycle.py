"""NamespaceLifecycle: objects are created only in namespaces that exist and are not being deleted.

What must stay true: default, kube-system and kube-public cannot be deleted.
"""

from __future__ import annotations

from apiserver.admission import Attributes, Plugin
from apiserver.resources import Resources
from tiphys.api.status import StatusError, forbidden, not_found

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
_NAMESPACES = "/registry/core/namespaces/"
_REVIEWS = frozenset({"subjectaccessreviews", "localsubjectaccessreviews"})


class NamespaceLifecycle(Plugin):
    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._cached = resources.cache.resource(_NAMESPACES)

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.is_for("", "namespaces"):
            if attributes.operation == "DELETE" and attributes.name in IMMORTAL:
                raise forbidden("", "namespaces", attributes.name, "this namespace may not be deleted")
            return
        if attributes.operation != "CREATE" or not attributes.namespace or attributes.info.plural in _REVIEWS:
            return
        item = self._cached.get(_NAMESPACES + attributes.namespace)
        if item is not None and b'"deletionTimestamp"' not in item.data and b'"Terminating"' not in item.data:
            return
        namespace = self._resources.peek("", "namespaces", "", attributes.namespace)
        if namespace is None:
            namespace = await self._resources.lookup("", "namespaces", "", attributes.namespace)
        if namespace is None:
            raise not_found("", "namespaces", attributes.namespace)
        if "deletionTimestamp" in namespace["metadata"] or namespace.get("status", {}).get("phase") == "Terminating":
            raise _terminating(attributes, namespace)


def _terminating(attributes: Attributes, namespace: dict[str, object]) -> StatusError:
    name = attributes.namespace
    error = attributes.refuse(f"unable to create new content in namespace {name} because it is being terminated")
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {name} is being terminated",
        "field": "metadata.namespace",
    }
    error.details = {**(error.details or {}), "causes": [cause]}
    return error
