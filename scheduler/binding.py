"""What the scheduler writes: the binding of a pod, and the condition that says why it has none."""

from __future__ import annotations

from scheduler.podinfo import PodInfo
from tiphys.api.core.pod import Pod
from tiphys.api.times import format_time
from tiphys.client.rest import Client
from tiphys.clock import Clock


async def bind(client: Client, info: PodInfo, node: str) -> None:
    """POST pods/binding with the pod's uid.  Raises ApiError; 409 says that somebody else bound it."""
    metadata = info.pod.metadata
    body = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }
    await client.create_subresource(Pod, metadata.name, metadata.namespace, "binding", body)


def unschedulable_condition(pod: Pod, reason: str, message: str, now: str) -> dict[str, object] | None:
    """The strategic merge patch of status; None when the pod says so already."""
    old = next((item for item in pod.status.conditions if item.type == "PodScheduled"), None)
    if old is not None and (old.status, old.reason, old.message) == ("False", reason, message):
        return None
    changed_at = old.lastTransitionTime if old is not None and old.status == "False" else now
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": changed_at or now,
        "observedGeneration": pod.metadata.generation,
    }
    return {"status": {"conditions": [condition]}}


async def mark_unschedulable(client: Client, pod: Pod, reason: str, message: str, clock: Clock) -> None:
    patch = unschedulable_condition(pod, reason, message, format_time(clock.now()))
    if patch is not None:
        await client.patch(
            Pod, pod.metadata.name, pod.metadata.namespace, patch, patch_type="strategic", subresource="status"
        )
