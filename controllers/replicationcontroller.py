"""ReplicationController: ReplicaSet's ancestor, with ReplicaSet's rules.

Only the selector (a plain map) and the kind of the status differ, so a turn works on the ReplicaSet it would be.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

from controllers.replicaset import ReplicaSetController, is_active, plan
from controllers.replicaset_status import availability_due_seconds, next_status
from tiphys.api.apps.replicaset import ReplicaSet, ReplicaSetStatus
from tiphys.api.core.pod import Pod
from tiphys.api.core.replicationcontroller import ReplicationController
from tiphys.api.selectors import LabelSelectorExpr, from_label_selector
from tiphys.client.cache import Key
from tiphys.client.controller import Writes
from tiphys.client.ownership import claim_owned


def as_replica_set(replication_controller: ReplicationController) -> ReplicaSet:
    """The ReplicaSet that would do the same."""
    spec: dict[str, Any] = replication_controller.spec.to_dict()
    spec["selector"] = {"matchLabels": dict(replication_controller.spec.selector)}
    return ReplicaSet.model_validate(
        {
            "metadata": replication_controller.metadata.to_dict(),
            "spec": spec,
            "status": replication_controller.status.to_dict(),
        }
    )


def with_status(replication_controller: ReplicationController, status: ReplicaSetStatus) -> ReplicationController:
    """`replication_controller` with what its ReplicaSet's status says; the two kinds share these fields."""
    held = status.to_dict()
    held.pop("terminatingReplicas", None)
    return ReplicationController.model_validate({**replication_controller.to_dict(), "status": held})


def selector_of(replication_controller: ReplicationController) -> LabelSelectorExpr:
    return from_label_selector({"matchLabels": dict(replication_controller.spec.selector)})


class ReplicationControllerController(ReplicaSetController):
    name: ClassVar = "replicationcontroller-controller"
    kind = ReplicationController  # type: ignore[assignment]  # the base names its own kind
    owns = (Pod,)
    adopts = True
    writes = (
        Writes(Pod, ("create", "delete", "patch")),
        Writes(ReplicationController, ("update",), "status"),
        Writes(ReplicationController, ("update",), "finalizers"),
    )

    async def reconcile(self, key: Key) -> float | None:
        replication_controller = self.cache(ReplicationController).get(*key)
        if replication_controller is None:
            return None
        selector = selector_of(replication_controller)
        owned = await claim_owned(self.client, replication_controller, selector, self.cache(Pod))
        active = [pod for pod in owned if is_active(pod)]
        now, view = self.clock.now(), as_replica_set(replication_controller)
        todo = plan(view, active, active, now)
        owner = cast("ReplicaSet", replication_controller)  # creating and deleting read only what both kinds have
        failure = await self._create(owner, todo.create) or await self._delete(owner, todo.delete)
        failed = None if failure is None else ("FailedCreate" if todo.create else "FailedDelete", failure.message)
        status = next_status(view, owned, active, failed, now)
        changed = with_status(replication_controller, status)
        if changed.status != replication_controller.status:
            await self.client.update(changed, subresource="status")
        if failure is not None:
            raise failure
        return availability_due_seconds(view, active, now)
