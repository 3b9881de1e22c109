"""Which images must stay: those of containers and volumes that exist, and those a pod of this node asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from nodeagent.images.image import Image
from nodeagent.runtime.interface import ContainerStatus
from tiphys.api.core.pod import Pod


class Images(Protocol):
    """What of the image store is needed."""

    def get(self, reference_or_id: str) -> Image | None: ...

    def list(self) -> list[Image]: ...


def used_images(
    images: Images, containers: Iterable[ContainerStatus], volumes: Collection[str], pods: Iterable[Pod]
) -> set[str]:
    """Ids.  `volumes` are the ids of images that volumes consist of; pods that are over ask for nothing.

    A container whose image has no name any more is known by its layers."""
    used = set(volumes)
    for status in containers:
        found = images.get(status.spec.image_id)
        if found is not None:
            used.add(found.id)
        elif status.spec.layers:
            top = status.spec.layers[-1]
            used.update(image.id for image in images.list() if top in image.layers)
    for pod in pods:
        if pod.status.phase in ("Succeeded", "Failed"):
            continue
        names = {one.image for one in (*pod.spec.containers, *pod.spec.initContainers)}
        names.update(one.image for one in pod.spec.ephemeralContainers)
        names.update(volume.image.reference for volume in pod.spec.volumes if volume.image is not None)
        used.update(found.id for name in names if name and (found := images.get(name)) is not None)
    return used
