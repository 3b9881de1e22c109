"""The node's half of the built-in storage class: directories below one root, one for each volume, named after it.

A directory is made when a pod first uses its volume.  It is removed when the API shows the volume deleted, released and
with the reclaim policy Delete; then the finalizer is taken off, so that the volume goes.  What must stay true: nothing
outside the root is made or removed, whatever a volume's object says; a directory whose volume is not seen is kept; the
agent may be killed between any two steps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from nodeagent.safepath import Root
from nodeagent.volumes.payload import VolumeError
from nodeagent.volumes.teardown import remove_tree
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.volume_binding import (
    LOCAL_PATH_FINALIZER,
    LOCAL_PATH_NODE,
    LOCAL_PATH_PROVISIONER,
    PROVISIONED_BY,
)
from tiphys.api.names import is_dns1123_subdomain
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.logs import fields

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0


def is_ours(volume: PersistentVolume) -> bool:
    return volume.metadata.annotations.get(PROVISIONED_BY) == LOCAL_PATH_PROVISIONER


def to_remove(volume: PersistentVolume) -> bool:
    """The volume waits for its directory to be removed."""
    meta = volume.metadata
    return (
        is_ours(volume)
        and bool(meta.deletionTimestamp)
        and LOCAL_PATH_FINALIZER in meta.finalizers
        and volume.spec.persistentVolumeReclaimPolicy == "Delete"
        and volume.status.phase in ("Released", "Failed")
    )


class LocalPathVolumes:
    """One per agent.  `root` is the directory that the Node's annotation names.

    `failed(volume, cause)` is called when a directory could not be removed; it is tried again."""

    def __init__(
        self,
        root: Path,
        client: Client,
        node_name: str,
        failed: Callable[[PersistentVolume, str], None] = lambda volume, cause: None,
    ) -> None:
        self.root = root
        self._failed = failed
        self._client = client
        self._due: asyncio.Queue[PersistentVolume] = asyncio.Queue()
        self._informer = Informer(client, PersistentVolume, label_selector=f"{LOCAL_PATH_NODE}={node_name}")
        self._informer.add_handler(self._changed)

    def directory(self, volume: PersistentVolume) -> Path | None:
        """Where the volume is, if it is one of this root's."""
        name, local = volume.metadata.name, volume.spec.local
        own = self.root / name
        plain = not is_dns1123_subdomain(name)
        return own if is_ours(volume) and plain and local is not None and local.path == str(own) else None

    def make(self, volume: PersistentVolume) -> Path | None:
        """The volume's directory, made if it is missing; None for a volume that is none of ours.  Raises OSError."""
        directory = self.directory(volume)
        if directory is not None:
            if volume.metadata.deletionTimestamp:
                raise VolumeError(f'volume "{volume.metadata.name}" is being deleted')
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with Root.at(self.root) as root:
                root.mkdir(volume.metadata.name, 0o777, exist_ok=True)
        return directory

    async def run(self) -> None:
        """Remove what is to be removed, until cancelled."""
        self._informer.start()
        try:
            while True:
                volume = await self._due.get()
                try:
                    await self._remove(volume)
                except (OSError, ApiError, ConnectionFailed) as error:
                    _log.warning("volume not removed", extra=fields(volume=volume.metadata.name, cause=error))
                    self._failed(volume, str(error))
                    asyncio.get_running_loop().call_later(RETRY_SECONDS, self._again, volume.metadata.name)
        finally:
            await self._informer.stop()

    def _changed(self, old: PersistentVolume | None, new: PersistentVolume | None) -> None:
        if new is not None and to_remove(new):
            self._due.put_nowait(new)

    def _again(self, name: str) -> None:
        self._changed(None, self._informer.get("", name))

    async def _remove(self, volume: PersistentVolume) -> None:
        directory = self.directory(volume)
        if directory is None:
            _log.warning("volume has no directory of this node", extra=fields(volume=volume.metadata.name))
        else:
            await asyncio.to_thread(remove_tree, directory)
        meta = volume.metadata
        left = [one for one in meta.finalizers if one != LOCAL_PATH_FINALIZER]
        change = {"metadata": {"resourceVersion": meta.resourceVersion, "finalizers": left}}
        try:
            await self._client.patch(PersistentVolume, meta.name, "", change)
        except ApiError as error:
            if not error.not_found and error.code != 409:  # after a conflict the informer shows the newer one
                raise
