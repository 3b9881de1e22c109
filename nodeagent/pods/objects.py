"""The ConfigMaps and Secrets that pods of this node refer to: each is watched by name while a pod refers to it.

What must stay true: no polling and no listing of whole namespaces; an object nobody refers to is no longer watched;
a change wakes the pods that refer to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodeagent.pods.environment import object_bytes
from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.secret import Secret
from tiphys.client.informer import Informer
from tiphys.client.rest import Client

Reference = tuple[type[Any], str, str]  # model, namespace, name
SYNC_TIMEOUT_SECONDS = 10.0


class NotSynced(Exception):
    """The API server has not said yet whether the object exists."""


@dataclass
class _Watched:
    informer: Informer[Any]
    pods: set[str] = field(default_factory=set)
    known: bool = False  # somebody has seen the first state: from now on changes matter


class ReferencedObjects:
    """`wake(pod_uid)` is called after a change of an object that the pod refers to."""

    def __init__(self, client: Client, wake: Callable[[str], None]) -> None:
        self._client = client
        self._wake = wake
        self._watched: dict[Reference, _Watched] = {}

    async def data(
        self, pod_uid: str, namespace: str, config_maps: set[str], secrets: set[str]
    ) -> tuple[dict[str, Mapping[str, bytes]], dict[str, Mapping[str, bytes]]]:
        """Contents of those that exist, by name.  The pod counts as referring to them until `release`."""
        wanted: list[Reference] = [(ConfigMap, namespace, name) for name in sorted(config_maps)]
        wanted += [(Secret, namespace, name) for name in sorted(secrets)]
        objects = await asyncio.gather(*(self._get(pod_uid, reference) for reference in wanted))
        maps: dict[str, Mapping[str, bytes]] = {}
        hidden: dict[str, Mapping[str, bytes]] = {}
        for found in objects:
            if isinstance(found, ConfigMap):
                maps[found.metadata.name] = {
                    **object_bytes(found.data, base64_encoded=False),
                    **object_bytes(found.binaryData, base64_encoded=True),
                }
            elif isinstance(found, Secret):
                hidden[found.metadata.name] = object_bytes(found.data, base64_encoded=True)
        return maps, hidden

    async def secret(self, pod_uid: str, namespace: str, name: str) -> Secret | None:
        """One Secret, for image pull credentials."""
        found = await self._get(pod_uid, (Secret, namespace, name))
        return found if isinstance(found, Secret) else None

    async def _get(self, pod_uid: str, reference: Reference) -> Any:
        model, namespace, name = reference
        watched = self._watched.get(reference)
        if watched is None:
            informer = Informer(self._client, model, namespace=namespace, field_selector=f"metadata.name={name}")
            watched = self._watched[reference] = _Watched(informer)
            informer.add_handler(lambda old, new: self._changed(reference, old, new))
            informer.start()
        watched.pods.add(pod_uid)
        try:
            async with asyncio.timeout(SYNC_TIMEOUT_SECONDS):
                await watched.informer.wait_synced()
        except TimeoutError as error:
            kind = model.__name__.lower()
            raise NotSynced(f'failed to sync {kind} "{name}": timed out waiting for the API server') from error
        watched.known = True
        return watched.informer.get(namespace, name)

    def _changed(self, reference: Reference, old: Any, new: Any) -> None:
        watched = self._watched.get(reference)
        if watched is not None and watched.known:
            for pod_uid in list(watched.pods):
                self._wake(pod_uid)

    async def release(self, pod_uid: str) -> None:
        """The pod refers to nothing any more."""
        idle = []  # all of them leave the table before the first wait: another pod may be released, or come, meanwhile
        for reference, watched in list(self._watched.items()):
            watched.pods.discard(pod_uid)
            if not watched.pods:
                idle.append(self._watched.pop(reference))
        for watched in idle:
            await watched.informer.stop()

    async def close(self) -> None:
        for watched in self._watched.values():
            await watched.informer.stop()
        self._watched.clear()
