"""StatefulSet: pods with a name, a place in an order and storage of their own.

The rules are pure and live next door: who a pod is (statefulset_identity), its claims (statefulset_claims), the next
step (statefulset_plan), the counts (statefulset_status); the history is controllerrevisions.  What must stay true: at
most one pod per identity at any moment, so nothing here ever deletes by force; claims exist before their pod does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from controllers import controllerrevisions as revisions
from controllers.controllerrevisions import History
from controllers.replicaset import first_error, in_growing_batches
from controllers.statefulset_claims import changed_owners, claim_name, claims_for, is_stale
from controllers.statefulset_identity import (
    identity_labels,
    lacks_identity,
    ordinal_of,
    ordinals,
    parent_of,
    pod_for,
    revision_of,
)
from controllers.statefulset_plan import keeps_current, plan
from controllers.statefulset_status import availability_due_seconds, next_status
from tiphys.api.apps.controllerrevision import ControllerRevision
from tiphys.api.apps.statefulset import StatefulSet
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.api.selectors import from_label_selector
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError
from tiphys.client.ownership import claim_owned

HASH_LABEL = "controller.kubernetes.io/hash"


@dataclass(frozen=True)
class Turn:
    """What one reconcile knows: the set, all its pods, its history and the revision pods had before the update."""

    stateful_set: StatefulSet
    pods: Sequence[Pod]
    history: History
    current: ControllerRevision


class StatefulSetController(Controller):
    name: ClassVar = "statefulset-controller"
    kind = StatefulSet
    owns = (Pod, ControllerRevision)
    adopts = True
    reads = (PersistentVolumeClaim,)
    writes = (
        Writes(Pod, ("create", "delete", "patch")),
        Writes(ControllerRevision, ("create", "delete", "patch")),
        Writes(PersistentVolumeClaim, ("create", "patch")),
        Writes(StatefulSet, ("update",), "status"),
        Writes(StatefulSet, ("update",), "finalizers"),
    )

    def setup(self) -> None:
        self.on(PersistentVolumeClaim, _sets_of_claim)

    async def reconcile(self, key: Key) -> float | None:
        stateful_set = self.cache(StatefulSet).get(*key)
        if stateful_set is None:
            return None
        turn = await self._look(stateful_set)
        now = self.clock.now()
        todo = plan(stateful_set, turn.pods, turn.history.update.metadata.name, now)
        failure: ApiError | None = None
        try:
            if not stateful_set.metadata.deletionTimestamp:
                await self._keep_identities(turn)
            failure = await self._create(turn, todo.create) or await self._delete(turn, todo.delete)
        except ApiError as error:
            failure = error
        await self._write_status(turn)
        await self._clean_up(turn)
        if failure is not None and not failure.namespace_terminating:
            raise failure
        return availability_due_seconds(stateful_set, turn.pods, now)

    async def _look(self, stateful_set: StatefulSet) -> Turn:
        name, selector = stateful_set.metadata.name, from_label_selector(stateful_set.spec.selector)

        def is_member(pod: Pod) -> bool:
            return parent_of(pod.metadata.name) == name

        pods = await claim_owned(self.client, stateful_set, selector, self.cache(Pod), is_member)
        known = await claim_owned(self.client, stateful_set, selector, self.cache(ControllerRevision))
        history = await revisions.sync_history(
            self.client,
            stateful_set,
            stateful_set.spec.template,
            known,
            stateful_set.status.collisionCount,
            HASH_LABEL,
        )
        current = history.named(stateful_set.status.currentRevision) or history.update
        return Turn(stateful_set, pods, history, current)

    # Acting

    async def _create(self, turn: Turn, wanted: Sequence[int]) -> ApiError | None:
        stateful_set = turn.stateful_set

        async def create_one(ordinal: int) -> None:
            revision = turn.current if keeps_current(stateful_set, ordinal) else turn.history.update
            pod = pod_for(stateful_set, revisions.template_of(revision), revision.metadata.name, ordinal)
            name = pod.metadata.name
            if any(is_stale(claim, name) for claim in self._claims(stateful_set, ordinal)):
                return  # the garbage collector takes it first; its going brings the next turn
            try:
                await self._create_claims(stateful_set, ordinal, name)
                await self.client.create(pod)
            except ApiError as error:
                if not error.already_exists and not error.namespace_terminating:
                    self._event(stateful_set, "create", f"Pod {name}", error)
                raise
            self._event(stateful_set, "create", f"Pod {name}")

        return await in_growing_batches(wanted, create_one)

    async def _delete(self, turn: Turn, pods: Sequence[Pod]) -> ApiError | None:
        async def delete_one(pod: Pod) -> None:
            meta = pod.metadata
            try:
                await self.client.delete(Pod, meta.name, meta.namespace, uid=meta.uid)
            except ApiError as error:
                if error.not_found:
                    return
                if error.conflict:
                    raise  # another pod has the name by now, or somebody wrote at the same time: look again
                self._event(turn.stateful_set, "delete", f"Pod {meta.name}", error)
                raise
            self._event(turn.stateful_set, "delete", f"Pod {meta.name}")

        return first_error(await asyncio.gather(*map(delete_one, pods), return_exceptions=True))

    async def _keep_identities(self, turn: Turn) -> None:
        """Existing pods: labels of an adopted one, missing claims of a pending one, owners of claims."""
        stateful_set, wanted = turn.stateful_set, ordinals(turn.stateful_set)
        for pod in turn.pods:
            ordinal, meta = ordinal_of(pod), pod.metadata
            if ordinal in wanted and lacks_identity(stateful_set, pod) and not meta.deletionTimestamp:
                patch = {"metadata": {"uid": meta.uid, "labels": identity_labels(stateful_set, ordinal)}}
                await self.client.patch(Pod, meta.name, meta.namespace, patch)
                self._event(stateful_set, "update", f"Pod {meta.name}")
            if ordinal in wanted and pod.status.phase == "Pending" and not meta.deletionTimestamp:
                await self._create_claims(stateful_set, ordinal, meta.name)
            for claim in self._claims(stateful_set, ordinal):
                owners = changed_owners(stateful_set, claim, pod, condemned=ordinal not in wanted)
                if owners is not None:
                    held = claim.metadata
                    metadata = {"resourceVersion": held.resourceVersion, "ownerReferences": owners}
                    await self.client.patch(PersistentVolumeClaim, held.name, held.namespace, {"metadata": metadata})

    # Claims

    def _claims(self, stateful_set: StatefulSet, ordinal: int) -> list[PersistentVolumeClaim]:
        """The claims of an ordinal that exist."""
        cached, namespace = self.cache(PersistentVolumeClaim), stateful_set.metadata.namespace
        names = [claim_name(stateful_set, one, ordinal) for one in stateful_set.spec.volumeClaimTemplates]
        return [claim for name in names if (claim := cached.get(namespace, name)) is not None]

    async def _create_claims(self, stateful_set: StatefulSet, ordinal: int, pod_name: str) -> None:
        held = {claim.metadata.name: claim for claim in self._claims(stateful_set, ordinal)}
        for wanted in claims_for(stateful_set, ordinal):
            name = wanted.metadata.name
            found = held.get(name)
            if found is not None:
                if found.metadata.deletionTimestamp:
                    raise ApiError(409, "Conflict", f"pvc {name} is being deleted")
                continue
            try:
                await self.client.create(wanted)
            except ApiError as error:
                if error.already_exists:
                    continue
                self._event(stateful_set, "create", f"Claim {name} for Pod {pod_name}", error)
                raise
            message = f"create Claim {name} Pod {pod_name} in StatefulSet {stateful_set.metadata.name} success"
            self.events.event(stateful_set, "Normal", "SuccessfulCreate", message, source=self.name)

    # Telling

    async def _write_status(self, turn: Turn) -> None:
        stateful_set, update = turn.stateful_set, turn.history.update.metadata.name
        current = turn.current.metadata.name
        count = turn.history.collision_count
        status = next_status(stateful_set, turn.pods, current, update, count, self.clock.now())
        if status != stateful_set.status:
            await self.client.update(stateful_set.model_copy(update={"status": status}), subresource="status")

    async def _clean_up(self, turn: Turn) -> None:
        in_use = {turn.current.metadata.name, *map(revision_of, turn.pods)}
        limit = turn.stateful_set.spec.revisionHistoryLimit
        await revisions.forget(self.client, revisions.surplus(turn.history, in_use, limit))

    def _event(self, stateful_set: StatefulSet, verb: str, what: str, error: ApiError | None = None) -> None:
        outcome = "successful" if error is None else f"failed error: {error}"
        reason = f"{'Successful' if error is None else 'Failed'}{verb.capitalize()}"
        message = f"{verb} {what} in StatefulSet {stateful_set.metadata.name} {outcome}"
        self.events.event(stateful_set, "Normal" if error is None else "Warning", reason, message, source=self.name)


def _sets_of_claim(claim: PersistentVolumeClaim) -> Iterable[Key]:
    """A claim that goes may be what its set, or the next pod of its name, waits for."""
    for owner in claim.metadata.ownerReferences:
        name = owner.name if owner.kind == "StatefulSet" else parent_of(owner.name) if owner.kind == "Pod" else ""
        if name:
            yield Key(claim.metadata.namespace, name)
