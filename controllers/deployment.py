"""Deployment: a ReplicaSet per version of the pod template, and the steps from one version to the next.

The rules are pure and live next door: which ReplicaSet is which version (deployment_revisions), how large each may be
(deployment_scaling), what the status says (deployment_status).  Here one turn takes at most one step and then writes
the status; the ReplicaSets' own status changes bring the next turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from controllers import deployment_revisions as revisions
from controllers import deployment_scaling as scaling
from controllers import deployment_status as progress
from controllers.deployment_scaling import Resize, replicas_of
from tiphys.api.apps.deployment import Deployment, DeploymentCondition, DeploymentStatus
from tiphys.api.apps.replicaset import ReplicaSet
from tiphys.api.core.pod import Pod
from tiphys.api.selectors import from_label_selector
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError
from tiphys.client.ownership import CONTROLLER_INDEX, claim_owned, controller_of, index_by_controller, owner_reference


@dataclass
class Turn:
    """What one reconcile knows and does: the Deployment, its ReplicaSets, a word about progress, a revision number."""

    deployment: Deployment
    new: ReplicaSet | None
    old: list[ReplicaSet]
    note: DeploymentCondition | None = None
    revision: str = ""  # to be written with the status: only there a changed annotation is no new generation

    @property
    def everyone(self) -> list[ReplicaSet]:
        return [*self.old, *([self.new] if self.new is not None else [])]


class DeploymentController(Controller):
    name: ClassVar = "deployment-controller"
    kind = Deployment
    owns = (ReplicaSet,)
    adopts = True
    reads = (Pod,)
    writes = (
        Writes(ReplicaSet, ("create", "patch", "delete")),
        Writes(Deployment, ("update",), "status"),
        Writes(Deployment, ("update",), "finalizers"),
    )

    def setup(self) -> None:
        index_by_controller(self.cache(Pod))
        self.on(Pod, self._recreated_deployment)

    def _recreated_deployment(self, pod: Pod) -> Iterable[Key]:
        """Strategy Recreate waits for the last old pod to go, so a pod leads to its Deployment; otherwise never."""
        namespace, owner = pod.metadata.namespace, controller_of(pod)
        replica_set = self.cache(ReplicaSet).get(namespace, owner.name) if owner is not None else None
        parent = controller_of(replica_set) if replica_set is not None else None
        deployment = self.cache(Deployment).get(namespace, parent.name) if parent is not None else None
        if deployment is not None and not scaling.is_rolling(deployment):
            yield Key(namespace, deployment.metadata.name)

    async def reconcile(self, key: Key) -> float | None:
        deployment = self.cache(Deployment).get(*key)
        if deployment is None:
            return None
        selector = from_label_selector(deployment.spec.selector)
        if selector.empty:
            message = "This deployment is selecting all pods. A non-empty selector is required."
            self._event(deployment, "SelectingAll", message, "Warning")
            return None
        owned = await claim_owned(self.client, deployment, selector, self.cache(ReplicaSet))
        turn = Turn(deployment, *revisions.split(deployment, owned))
        if deployment.metadata.deletionTimestamp:
            return await self._write_scaling_status(turn)
        condition = progress.paused_condition(deployment, self.clock.now())
        if condition is not None:
            conditions = progress.with_condition(deployment.status.conditions, condition)
            await self._write_status(turn, deployment.status.model_copy(update={"conditions": conditions}))
        if deployment.spec.paused or scaling.is_scaling_event(deployment, owned):
            return await self._rescale(turn)
        return await (self._roll(turn) if scaling.is_rolling(deployment) else self._recreate(turn))

    # The three kinds of turns

    async def _rescale(self, turn: Turn) -> float | None:
        """Follow spec.replicas without taking the rollout any further."""
        if turn.new is not None:
            await self._sync_version(turn)
        await self._resize(turn, scaling.rescale(turn.deployment, turn.new, turn.old))
        if turn.deployment.spec.paused:
            await self._clean_up(turn)
        return await self._write_scaling_status(turn)

    async def _roll(self, turn: Turn) -> float | None:
        """More of the new version while there is room, then fewer of the old ones while enough pods are available."""
        new = await self._ensure_new(turn)
        size = scaling.new_size(turn.deployment, turn.everyone, replicas_of(new))
        if await self._resize(turn, [Resize(new, size)]):
            return await self._write_rollout_status(turn)
        if not await self._resize(turn, scaling.scale_down_old(turn.deployment, new, turn.old)):
            await self._clean_up(turn)
        return await self._write_rollout_status(turn)

    async def _recreate(self, turn: Turn) -> float | None:
        """All of the old version goes, to the last pod, before any of the new one comes."""
        if turn.new is not None:
            await self._sync_version(turn)
        down = [Resize(replica_set, 0) for replica_set in scaling.active(turn.old)]
        if await self._resize(turn, down) or self._has_old_pods(turn):
            return await self._write_rollout_status(turn)
        new = await self._ensure_new(turn)
        if not await self._resize(turn, [Resize(new, replicas_of(turn.deployment))]):
            await self._clean_up(turn)
        return await self._write_rollout_status(turn)

    def _has_old_pods(self, turn: Turn) -> bool:
        pods = self.cache(Pod)
        return any(rs.status.replicas > 0 for rs in turn.old) or any(
            pod.status.phase not in ("Succeeded", "Failed")
            for rs in turn.old
            for pod in pods.by_index(CONTROLLER_INDEX, rs.metadata.uid)
        )

    # The ReplicaSet of the current template

    async def _ensure_new(self, turn: Turn) -> ReplicaSet:
        if turn.new is not None:
            return await self._sync_version(turn)
        turn.new = await self._create_new(turn)
        name = turn.new.metadata.name
        message = f'Created new replica set "{name}"'
        turn.note = progress.made("Progressing", "True", "NewReplicaSetCreated", message, self.clock.now())
        self._note_revision(turn)
        return turn.new

    async def _sync_version(self, turn: Turn) -> ReplicaSet:
        """Bring the annotations and minReadySeconds of the existing new ReplicaSet up to date."""
        new, deployment = turn.new, turn.deployment
        assert new is not None
        annotations = revisions.version_annotations(deployment, new, revisions.next_revision(turn.old))
        patch: dict[str, Any] = {"metadata": {"annotations": annotations}} if annotations else {}
        if new.spec.minReadySeconds != deployment.spec.minReadySeconds:
            patch["spec"] = {"minReadySeconds": deployment.spec.minReadySeconds}
        if patch:
            turn.new = new = await self.client.patch(ReplicaSet, new.metadata.name, new.metadata.namespace, patch)
        if progress.has_deadline(deployment) and progress.find(deployment.status.conditions, "Progressing") is None:
            message = f'Found new replica set "{new.metadata.name}"'
            turn.note = progress.made("Progressing", "True", "FoundNewReplicaSet", message, self.clock.now())
        self._note_revision(turn)
        return new

    def _note_revision(self, turn: Turn) -> None:
        """The Deployment carries the revision of its new ReplicaSet: `kubectl rollout` reads it there."""
        revision = turn.new.metadata.annotations.get(revisions.REVISION, "") if turn.new is not None else ""
        if revision and turn.deployment.metadata.annotations.get(revisions.REVISION) != revision:
            turn.revision = revision

    async def _create_new(self, turn: Turn) -> ReplicaSet:
        deployment = turn.deployment
        wanted = new_replica_set(deployment, turn.old)
        name, size = wanted.metadata.name, replicas_of(wanted)
        try:
            created = await self.client.create(wanted)
        except ApiError as error:
            if error.already_exists:
                return await self._existing(turn, name, error)
            if not error.namespace_terminating:
                message = f'Failed to create new replica set "{name}": {error}'
                self._event(deployment, "ReplicaSetCreateError", message, "Warning")
                turn.note = progress.made("Progressing", "False", "ReplicaSetCreateError", message, self.clock.now())
                await self._write_rollout_status(turn)
            raise
        if size > 0:
            self._event(deployment, "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {size}")
        return created

    async def _existing(self, turn: Turn, name: str, error: ApiError) -> ReplicaSet:
        """The name is taken: by our own earlier write, or by another template, which calls for another hash."""
        deployment = turn.deployment
        live = await self.client.get(ReplicaSet, name, deployment.metadata.namespace)
        owner = controller_of(live)
        ours = owner is not None and owner.uid == deployment.metadata.uid
        if ours and revisions.same_template(live.spec.template, deployment.spec.template):
            return live
        count = (deployment.status.collisionCount or 0) + 1
        await self._write_status(turn, deployment.status.model_copy(update={"collisionCount": count}))
        raise error

    # Acting

    async def _resize(self, turn: Turn, resizes: Sequence[Resize]) -> bool:
        """Carry out the resizes that change something (size, or what is noted about it); whether a size changed."""
        changed = False
        annotations = scaling.size_annotations(turn.deployment)
        for resize in resizes:
            rs, before = resize.replica_set, replicas_of(resize.replica_set)
            noted = {name: rs.metadata.annotations.get(name) for name in annotations}
            if before == resize.size and (before == 0 or noted == annotations):
                continue
            patch = {"metadata": {"annotations": annotations}, "spec": {"replicas": resize.size}}
            done = await self.client.patch(ReplicaSet, rs.metadata.name, rs.metadata.namespace, patch)
            turn.old = [done if other.metadata.uid == done.metadata.uid else other for other in turn.old]
            if turn.new is not None and turn.new.metadata.uid == done.metadata.uid:
                turn.new = done
            if before != resize.size:
                changed = True
                way = "up" if resize.size > before else "down"
                message = f"Scaled {way} replica set {rs.metadata.name} from {before} to {resize.size}"
                self._event(turn.deployment, "ScalingReplicaSet", message)
        return changed

    async def _clean_up(self, turn: Turn) -> None:
        """Forget versions beyond the history limit, once the rollout is complete."""
        status = progress.counted(turn.deployment, turn.everyone, turn.new)
        if turn.deployment.spec.paused or progress.is_complete(turn.deployment, status):
            for rs in revisions.surplus_history(turn.deployment, turn.old):
                await self.client.delete(ReplicaSet, rs.metadata.name, rs.metadata.namespace, uid=rs.metadata.uid)

    async def _write_scaling_status(self, turn: Turn) -> float | None:
        status = progress.scaling_status(turn.deployment, turn.everyone, turn.new, self.clock.now())
        await self._write_status(turn, status)
        return None

    async def _write_rollout_status(self, turn: Turn) -> float | None:
        now = self.clock.now()
        status = progress.rollout_status(turn.deployment, turn.everyone, turn.new, turn.note, now)
        await self._write_status(turn, status)
        return progress.deadline_due_seconds(turn.deployment, status, now)

    async def _write_status(self, turn: Turn, status: DeploymentStatus) -> None:
        deployment = turn.deployment
        if status == deployment.status and not turn.revision:
            return
        if turn.revision:
            annotations = {**deployment.metadata.annotations, revisions.REVISION: turn.revision}
            metadata = deployment.metadata.model_copy(update={"annotations": annotations})
            deployment = deployment.model_copy(update={"metadata": metadata})
        changed = deployment.model_copy(update={"status": status})
        turn.deployment = await self.client.update(changed, subresource="status")
        turn.revision = ""

    def _event(self, deployment: Deployment, reason: str, message: str, type: str = "Normal") -> None:
        self.events.event(deployment, type, reason, message, source=self.name)


def new_replica_set(deployment: Deployment, old: Sequence[ReplicaSet]) -> ReplicaSet:
    """The ReplicaSet to create for the current template, at the size the rollout allows at once."""
    hashed = revisions.template_hash(deployment.spec.template, deployment.status.collisionCount)
    template = deployment.spec.template.to_dict()
    labels = {**deployment.spec.template.metadata.labels, revisions.HASH_LABEL: hashed}
    template["metadata"] = {**template.get("metadata", {}), "labels": labels}
    selector = deployment.spec.selector.to_dict() if deployment.spec.selector is not None else {}
    selector["matchLabels"] = {**selector.get("matchLabels", {}), revisions.HASH_LABEL: hashed}
    annotations = revisions.version_annotations(deployment, None, revisions.next_revision(old))
    return ReplicaSet.model_validate(
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{deployment.metadata.name}-{hashed}",
                "namespace": deployment.metadata.namespace,
                "labels": labels,
                "annotations": {**annotations, **scaling.size_annotations(deployment)},
                "ownerReferences": [owner_reference(deployment)],
            },
            "spec": {
                "replicas": scaling.new_size(deployment, old, 0),
                "minReadySeconds": deployment.spec.minReadySeconds,
                "selector": selector,
                "template": template,
            },
        }
    )
