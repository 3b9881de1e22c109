"""Generic ephemeral volumes: the claim of such a volume is made for its pod, belongs to it and goes with it."""

from __future__ import annotations

from typing import ClassVar

from controllers.podgc import has_ended
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.api.core.volumes import Volume
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError
from tiphys.client.ownership import is_controlled_by, owner_reference


def claim_for(pod: Pod, volume: Volume) -> PersistentVolumeClaim:
    """The claim of an ephemeral volume, as it is created."""
    template = volume.ephemeral.volumeClaimTemplate if volume.ephemeral is not None else None
    if template is None:
        raise ValueError(f"volume {volume.name} has no claim template")
    metadata = {
        "name": f"{pod.metadata.name}-{volume.name}",
        "namespace": pod.metadata.namespace,
        "labels": template.metadata.labels,
        "annotations": template.metadata.annotations,
        "ownerReferences": [owner_reference(pod)],
    }
    return PersistentVolumeClaim.model_validate({"metadata": metadata, "spec": template.spec.to_dict()})


class EphemeralVolumeController(Controller):
    name: ClassVar = "ephemeral-volume-controller"
    kind = Pod
    reads = (PersistentVolumeClaim,)
    writes = (Writes(PersistentVolumeClaim, ("create",)),)

    async def reconcile(self, key: Key) -> float | None:
        pod = self.cache(Pod).get(*key)
        if pod is None or pod.metadata.deletionTimestamp or has_ended(pod):
            return None
        for volume in pod.spec.volumes:
            if volume.ephemeral is not None and volume.ephemeral.volumeClaimTemplate is not None:
                await self._ensure(pod, volume)
        return None

    async def _ensure(self, pod: Pod, volume: Volume) -> None:
        wanted = claim_for(pod, volume)
        name, namespace = wanted.metadata.name, wanted.metadata.namespace
        found = self.cache(PersistentVolumeClaim).get(namespace, name)
        if found is None:
            try:
                await self.client.create(wanted)
            except ApiError as error:
                if error.namespace_terminating:
                    return
                raise
        elif not is_controlled_by(found, pod):
            text = f'PVC "{namespace}/{name}" was not created for pod "{namespace}/{pod.metadata.name}" '
            self.events.event(
                pod, "Warning", "FailedCreate", f"ephemeral volume {volume.name}: {text}(pod is not owner)"
            )
