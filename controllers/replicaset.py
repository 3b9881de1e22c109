"""ReplicaSet: as many pods as `spec.replicas`, and a status that counts them.

`plan` decides how many pods to create and which to delete; the choice among pods is replicaset_ranking.py, the status
replicaset_status.py.  Pods are created in batches of 1, 2, 4, ... and the first failure of a batch ends them, so a
template that is refused costs a few requests, not hundreds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeVar

from controllers.podtemplate import pod_from_template
from controllers.replicaset_ranking import deletion_order
from controllers.replicaset_status import availability_due_seconds, next_status
from tiphys.api.apps.replicaset import ReplicaSet
from tiphys.api.core.pod import Pod
from tiphys.api.selectors import from_label_selector
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError
from tiphys.client.ownership import CONTROLLER_INDEX, claim_owned, controller_of

BURST = 500  # most pods created or deleted in one turn

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    create: int
    delete: Sequence[Pod]


def is_active(pod: Pod) -> bool:
    """The pod counts: it has not ended and is not being deleted."""
    return pod.status.phase not in ("Succeeded", "Failed") and not pod.metadata.deletionTimestamp


def plan(replica_set: ReplicaSet, pods: Sequence[Pod], related: Sequence[Pod], now: datetime) -> Plan:
    """What to do about `pods`, the active ones; `related` are all active pods of the owner's ReplicaSets."""
    if replica_set.metadata.deletionTimestamp:
        return Plan(0, [])
    wanted = 1 if replica_set.spec.replicas is None else replica_set.spec.replicas
    surplus = len(pods) - wanted
    if surplus <= 0:
        return Plan(min(-surplus, BURST), [])
    return Plan(0, deletion_order(pods, related, now)[: min(surplus, BURST)])


class ReplicaSetController(Controller):
    name: ClassVar = "replicaset-controller"
    kind = ReplicaSet
    owns = (Pod,)
    adopts = True
    writes = (
        Writes(Pod, ("create", "delete", "patch")),
        Writes(ReplicaSet, ("update",), "status"),
        Writes(ReplicaSet, ("update",), "finalizers"),
    )

    async def reconcile(self, key: Key) -> float | None:
        replica_set = self.cache(ReplicaSet).get(*key)
        if replica_set is None:
            return None
        selector = from_label_selector(replica_set.spec.selector)
        owned = await claim_owned(self.client, replica_set, selector, self.cache(Pod))
        active = [pod for pod in owned if is_active(pod)]
        now = self.clock.now()
        todo = plan(replica_set, active, self._related(replica_set), now)
        failure: ApiError | None = None
        if todo.create or todo.delete:
            failure = await self._create(replica_set, todo.create) or await self._delete(replica_set, todo.delete)
        failed = None if failure is None else ("FailedCreate" if todo.create else "FailedDelete", failure.message)
        await self._write_status(replica_set, owned, active, failed, now)
        if failure is not None:
            raise failure
        return availability_due_seconds(replica_set, active, now)

    def _related(self, replica_set: ReplicaSet) -> Sequence[Pod]:
        """Active pods of all ReplicaSets with the same owner, so that a scale-down spreads what stays over nodes."""
        owner = controller_of(replica_set)
        siblings = [replica_set]
        if owner is not None:
            siblings = [
                other
                for other in self.cache(ReplicaSet).list(replica_set.metadata.namespace)
                if (reference := controller_of(other)) is not None and reference.uid == owner.uid
            ]
        pods = self.cache(Pod)
        return [pod for rs in siblings for pod in pods.by_index(CONTROLLER_INDEX, rs.metadata.uid) if is_active(pod)]

    async def _create(self, replica_set: ReplicaSet, count: int) -> ApiError | None:
        async def create_one(_: int) -> None:
            pod = pod_from_template(replica_set, replica_set.spec.template)
            try:
                created = await self.client.create(pod)
            except ApiError as error:
                if not error.namespace_terminating:
                    self.events.event(
                        replica_set, "Warning", "FailedCreate", f"Error creating: {error}", source=self.name
                    )
                raise
            self.events.event(
                replica_set, "Normal", "SuccessfulCreate", f"Created pod: {created.metadata.name}", source=self.name
            )

        error = await in_growing_batches(range(count), create_one)
        return None if error is not None and error.namespace_terminating else error

    async def _delete(self, replica_set: ReplicaSet, pods: Sequence[Pod]) -> ApiError | None:
        async def delete_one(pod: Pod) -> None:
            name = pod.metadata.name
            try:
                await self.client.delete(Pod, name, pod.metadata.namespace, uid=pod.metadata.uid)
            except ApiError as error:
                if error.not_found:
                    return
                if error.conflict:
                    raise  # most likely another pod has the name by now; the cache will show
                self.events.event(replica_set, "Warning", "FailedDelete", f"Error deleting: {error}", source=self.name)
                raise
            self.events.event(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {name}", source=self.name)

        return first_error(await asyncio.gather(*map(delete_one, pods), return_exceptions=True))

    async def _write_status(
        self,
        replica_set: ReplicaSet,
        owned: Sequence[Pod],
        active: Sequence[Pod],
        failed: tuple[str, str] | None,
        now: datetime,
    ) -> None:
        status = next_status(replica_set, owned, active, failed, now)
        if status != replica_set.status:
            await self.client.update(replica_set.model_copy(update={"status": status}), subresource="status")


async def in_growing_batches(items: Sequence[T], act: Callable[[T], Awaitable[None]]) -> ApiError | None:
    """`act` on 1, 2, 4, ... items at once until one of a batch fails; the first failure is returned."""
    start, size = 0, 1
    while start < len(items):
        batch = items[start : start + size]
        error = first_error(await asyncio.gather(*map(act, batch), return_exceptions=True))
        if error is not None:
            return error
        start, size = start + size, size * 2
    return None


def first_error(results: Sequence[BaseException | None]) -> ApiError | None:
    """The first refusal among gathered results; anything else that was raised is raised again."""
    refused: ApiError | None = None
    for result in results:
        if isinstance(result, ApiError):
            refused = refused or result
        elif result is not None:
            raise result
    return refused
