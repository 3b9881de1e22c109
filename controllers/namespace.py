"""Namespace deletion: everything inside goes, pods first, and then the finalizer that keeps the namespace.

Pods go before all else and to the last one, so that nothing they use (a NetworkPolicy, a Secret) disappears under them.
What is left and why stands in the namespace's conditions, in upstream's words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import orjson

from tiphys.api.core.namespace import Namespace, NamespaceCondition
from tiphys.api.core.pod import Pod
from tiphys.api.times import format_time, parse_time
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.discovery import ServedResource, discover
from tiphys.client.errors import ApiError, error_of_response

FINALIZER = "kubernetes"
RETRY_LEAST_SECONDS, RETRY_MOST_SECONDS = 0.05, 5.0


@dataclass
class Content:
    """What a pass over the namespace left behind."""

    remaining: Counter[str] = field(default_factory=Counter)  # "pods." or "deployments.apps" to instances
    finalizers: Counter[str] = field(default_factory=Counter)  # finalizer to instances that carry it
    failures: list[str] = field(default_factory=list)

    @property
    def gone(self) -> bool:
        return not self.remaining and not self.failures


def conditions(before: Sequence[NamespaceCondition], content: Content, now: datetime) -> list[NamespaceCondition]:
    """The conditions that tell `content`; a time changes with its status only."""
    told = [
        _told("NamespaceDeletionDiscoveryFailure", "", "ResourcesDiscovered", "All resources successfully discovered"),
        _told(
            "NamespaceDeletionGroupVersionParsingFailure",
            "",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        _told(
            "NamespaceDeletionContentFailure",
            _failed(content.failures),
            "ContentDeletionFailed" if content.failures else "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        _told(
            "NamespaceContentRemaining",
            _listed("Some resources are remaining: ", "has", content.remaining),
            "SomeResourcesRemain" if content.remaining else "ContentRemoved",
            "All content successfully removed",
        ),
        _told(
            "NamespaceFinalizersRemaining",
            _listed("Some content in the namespace has finalizers remaining: ", "in", content.finalizers),
            "SomeFinalizersRemain" if content.finalizers else "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    ]
    held = {condition.type: condition for condition in before}
    return [_timed(condition, held.get(condition.type), now) for condition in told]


def _told(type: str, problem: str, reason: str, all_well: str) -> NamespaceCondition:
    status = "True" if problem else "False"
    return NamespaceCondition(type=type, status=status, reason=reason, message=problem or all_well)


def _timed(new: NamespaceCondition, old: NamespaceCondition | None, now: datetime) -> NamespaceCondition:
    same = old is not None and old.status == new.status
    at = old.lastTransitionTime if same and old is not None else format_time(now)
    return new.model_copy(update={"lastTransitionTime": at})


def _failed(failures: Sequence[str]) -> str:
    return (
        "Failed to delete all resource types, " + f"{len(failures)} remaining: {', '.join(failures)}"
        if failures
        else ""
    )


def _listed(prefix: str, word: str, counts: Counter[str]) -> str:
    parts = [f"{name} {word} {count} resource instances" for name, count in sorted(counts.items())]
    return prefix + ", ".join(parts) if parts else ""


class NamespaceController(Controller):
    name: ClassVar = "namespace-controller"
    kind = Namespace
    reads = (Pod,)
    on_all: ClassVar = ("list", "delete", "deletecollection")
    writes = (Writes(Namespace, ("update",), "finalize"), Writes(Namespace, ("update",), "status"))
    workers = 10

    def setup(self) -> None:
        self.on(Pod, self._waiting_namespace)

    def _waiting_namespace(self, pod: Pod) -> Iterable[Key]:
        """The last pod of a namespace being deleted was in the way of everything else."""
        namespace = self.cache(Namespace).get("", pod.metadata.namespace)
        if namespace is not None and namespace.metadata.deletionTimestamp:
            yield Key("", namespace.metadata.name)

    async def reconcile(self, key: Key) -> float | None:
        namespace = self.cache(Namespace).get(*key)
        if namespace is None or not namespace.metadata.deletionTimestamp:
            return None
        if FINALIZER not in namespace.spec.finalizers:
            return None
        content = await self._delete_content(namespace.metadata.name)
        now = self.clock.now()
        if content.gone:
            await self._finalize(namespace)
            return None
        wanted = conditions(namespace.status.conditions, content, now)
        status = namespace.status.model_copy(update={"phase": "Terminating", "conditions": wanted})
        if status != namespace.status:
            await self.client.update(namespace.model_copy(update={"status": status}), subresource="status")
        return retry_seconds((now - parse_time(namespace.metadata.deletionTimestamp)).total_seconds())

    async def _delete_content(self, name: str) -> Content:
        content = Content()
        served = [one for one in await discover(self.client) if one.namespaced and one.can("delete", "list")]
        pods = [one for one in served if (one.group, one.plural) == ("", "pods")]
        for resource in pods:
            await self._delete_all(resource, name, content)
        if content.gone:
            for resource in served:
                if resource not in pods:
                    await self._delete_all(resource, name, content)
        return content

    async def _delete_all(self, resource: ServedResource, namespace: str, content: Content) -> None:
        try:
            found = await self.client.list(resource.partial, namespace)
            if not found.items:
                return
            if resource.can("deletecollection"):
                await self.client.delete_collection(resource.partial, namespace, propagation="Background")
            else:
                for item in found.items:
                    await self.client.delete(resource.partial, item.metadata.name, namespace, propagation="Background")
            left = (await self.client.list(resource.partial, namespace)).items
        except ApiError as error:
            if error.code in (404, 405):
                return  # the resource was taken away meanwhile, or cannot be emptied from outside
            content.failures.append(f"{resource}: {error}")
            return
        if left:
            content.remaining[f"{resource.plural}.{resource.group}"] += len(left)
        content.finalizers.update(finalizer for item in left for finalizer in item.metadata.finalizers)

    async def _finalize(self, namespace: Namespace) -> None:
        """Take our finalizer away; the server removes the namespace when it was the last."""
        body: dict[str, Any] = namespace.to_dict()
        body["spec"] = {"finalizers": [name for name in namespace.spec.finalizers if name != FINALIZER]}
        status, headers, answer = await self.client.request(
            "PUT",
            f"/api/v1/namespaces/{namespace.metadata.name}/finalize",
            body=orjson.dumps(body),
            headers={"Content-Type": "application/json"},
        )
        if status >= 400 and status != 404:
            raise error_of_response(status, headers, answer)


def retry_seconds(age_seconds: float) -> float:
    """When to look again at what does not announce its end: soon at first, later less often."""
    return min(RETRY_MOST_SECONDS, max(RETRY_LEAST_SECONDS, age_seconds / 4))
