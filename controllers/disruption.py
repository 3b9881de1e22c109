"""PodDisruptionBudget: keeps its status true, so that an eviction can decide by it alone.

Evictions write the same status, so a write here is made only on the version that was read: whoever is second reads
again.  Where the bound is relative, the owners say how many pods there should be, through their scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import orjson

from controllers.disruption_plan import disrupted, failed_status, needs_scale, next_status
from controllers.podconditions import condition
from tiphys.api.apps.deployment import Deployment
from tiphys.api.apps.replicaset import ReplicaSet
from tiphys.api.apps.statefulset import StatefulSet
from tiphys.api.core.pod import Pod
from tiphys.api.core.replicationcontroller import ReplicationController
from tiphys.api.meta import OwnerReference
from tiphys.api.policy.poddisruptionbudget import PodDisruptionBudget, PodDisruptionBudgetStatus
from tiphys.api.selectors import from_label_selector
from tiphys.api.times import format_time, parse_time
from tiphys.client.cache import Key, key_of
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError, error_of_response
from tiphys.client.informer import Informer
from tiphys.client.ownership import controller_of

STALE_SECONDS = 120.0  # a pod that was to be disrupted and is still there will not be
Workload = Deployment | ReplicaSet | StatefulSet | ReplicationController
_SCALED: Mapping[tuple[str, str], type[Workload]] = {
    ("v1", "ReplicationController"): ReplicationController,
    ("apps/v1", "StatefulSet"): StatefulSet,
    ("apps/v1", "Deployment"): Deployment,
    ("apps/v1", "ReplicaSet"): ReplicaSet,
}


class Unknown(ApiError):
    """Nobody can say how many pods there should be; the message says why."""

    def __init__(self, message: str) -> None:
        super().__init__(404, "NotFound", message)


class DisruptionController(Controller):
    name: ClassVar = "disruption-controller"
    kind = PodDisruptionBudget
    reads = (Pod, Deployment, ReplicaSet, StatefulSet, ReplicationController)
    writes = (Writes(PodDisruptionBudget, ("update",), "status"),)

    def setup(self) -> None:
        self.on(Pod, self._budgets_of)
        for model in (Deployment, ReplicaSet, StatefulSet, ReplicationController):
            self.on(model, self._budgets_beside)

    def _budgets_of(self, pod: Pod) -> Iterable[Key]:
        for budget in self.cache(PodDisruptionBudget).list(pod.metadata.namespace):
            if from_label_selector(budget.spec.selector).matches(pod.metadata.labels):
                yield key_of(budget)

    def _budgets_beside(self, workload: Workload) -> Iterable[Key]:
        """A changed size concerns the relative budgets of the namespace that select the workload's pods."""
        labels = workload.spec.template.metadata.labels if workload.spec.template else {}
        for budget in self.cache(PodDisruptionBudget).list(workload.metadata.namespace):
            if needs_scale(budget) and from_label_selector(budget.spec.selector).matches(labels):
                yield key_of(budget)

    async def reconcile(self, key: Key) -> float | None:
        budget = self.cache(PodDisruptionBudget).get(*key)
        if budget is None:
            return None
        now = self.clock.now()
        pods = self.cache(Pod).list(key.namespace, from_label_selector(budget.spec.selector))
        if not pods:
            self.events.event(budget, "Normal", "NoPods", "No matching pods found", source=self.name)
        try:
            expected = await self._expected(budget, pods)
        except Unknown as error:
            text = f"Failed to calculate the number of expected pods: {error}"
            self.events.event(budget, "Warning", "CalculateExpectedPodCountFailed", text, source=self.name)
            await self._write(budget, failed_status(budget, str(error), now))
            raise
        noted = disrupted(budget, pods, now)
        for pod in noted.overdue:
            text = f"Pod was expected by PDB {key.namespace}/{key.name} to be deleted but it wasn't"
            self.events.event(pod, "Warning", "NotDeleted", text, source=self.name)
        await self._write(budget, next_status(budget, pods, expected, noted.pods, now))
        return None if noted.next_seconds is None else noted.next_seconds + 0.5

    async def _write(self, budget: PodDisruptionBudget, status: PodDisruptionBudgetStatus) -> None:
        if status != budget.status:
            await self.client.update(budget.model_copy(update={"status": status}), subresource="status")

    # How many pods there should be

    async def _expected(self, budget: PodDisruptionBudget, pods: Sequence[Pod]) -> int:
        """The sizes of all owners of `pods` together; pods without an owner do not count.  Raises Unknown."""
        if not needs_scale(budget):
            return len(pods)
        seen, sizes = set[str](), dict[str, int]()
        for pod in pods:
            reference = controller_of(pod)
            if reference is not None and reference.uid not in seen:
                seen.add(reference.uid)
                uid, size = await self._size_of(reference, pod)
                sizes[uid] = size
        return sum(sizes.values())

    async def _size_of(self, reference: OwnerReference, pod: Pod) -> tuple[str, int]:
        """(uid, wanted size) of the workload a pod belongs to: a Deployment rather than its ReplicaSet."""
        namespace = pod.metadata.namespace
        model = _SCALED.get((reference.apiVersion, reference.kind))
        if model is None:
            return reference.uid, await self._scale(reference, namespace, pod)
        cached: Informer[Workload] = self.cache(model)
        owner = cached.get(namespace, reference.name)
        if owner is None or owner.metadata.uid != reference.uid:
            raise Unknown(f'found no controllers for pod "{pod.metadata.name}"')
        above = controller_of(owner)
        if above is not None and (above.apiVersion, above.kind) in _SCALED:
            deployment = self.cache(Deployment).get(namespace, above.name)
            if deployment is not None and deployment.metadata.uid == above.uid:
                owner = deployment
        return owner.metadata.uid, 1 if owner.spec.replicas is None else owner.spec.replicas

    async def _scale(self, reference: OwnerReference, namespace: str, pod: Pod) -> int:
        """The size a workload of any other kind says in its scale subresource."""
        api = f"/apis/{reference.apiVersion}" if "/" in reference.apiVersion else f"/api/{reference.apiVersion}"
        resources = (await self._get(api)).get("resources") or []
        plural = next(
            (one["name"] for one in resources if one["kind"] == reference.kind and "/" not in one["name"]), ""
        )
        if f"{plural}/scale" not in {one["name"] for one in resources}:
            group = reference.apiVersion.rpartition("/")[0]
            raise Unknown(f"{plural}{'.' if group else ''}{group} does not implement the scale subresource")
        try:
            scale = await self._get(f"{api}/namespaces/{namespace}/{plural}/{reference.name}/scale")
        except ApiError as error:
            if not error.not_found:
                raise
            raise Unknown(f'found no controllers for pod "{pod.metadata.name}"') from None
        return int(scale["spec"].get("replicas", 0))

    async def _get(self, path: str) -> dict[str, Any]:
        status, headers, body = await self.client.request("GET", path)
        if status >= 400:
            raise error_of_response(status, headers, body)
        found: dict[str, Any] = orjson.loads(body)
        return found


class PodDisruptionCleaner(Controller):
    """Takes DisruptionTarget back from a pod that was to be disrupted and, STALE_SECONDS later, still is not."""

    name: ClassVar = "disruption-cleaner-controller"
    kind = Pod
    writes = (Writes(Pod, ("patch",), "status"),)

    async def reconcile(self, key: Key) -> float | None:
        pod = self.cache(Pod).get(*key)
        target = condition(pod, "DisruptionTarget") if pod is not None else None
        if pod is None or target is None or target.status != "True" or pod.metadata.deletionTimestamp:
            return None
        if pod.status.phase in ("Succeeded", "Failed") or not target.lastTransitionTime:
            return None
        now = self.clock.now()
        left = STALE_SECONDS - (now - parse_time(target.lastTransitionTime)).total_seconds()
        if left > 0:
            return left
        over = {
            "type": target.type,
            "status": "False",
            "reason": "",
            "message": "",
            "lastTransitionTime": format_time(now),
        }
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [over]}}
        await self.client.patch(Pod, key.name, key.namespace, patch, patch_type="strategic", subresource="status")
        return None
