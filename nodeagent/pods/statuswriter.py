"""Writes a pod's status to the API in the background: the newest wanted one, only when it differs, in order.

What must stay true: a worker never waits for a write except in `flush`; what was written counts at once as what the
API says (`current`), so a status is not worked out from a pod that is older than our own last write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from nodeagent.pods.node import Node
from nodeagent.pods.statuspatch import status_patch
from tiphys.api.core.pod import Pod
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.logs import fields

_log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.2, 10.0


class StatusWriter:
    """One per pod worker; the informer shows it what was written."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._ours: Pod | None = None
        self._first: tuple[Pod, Mapping[str, Any]] | None = None  # written before the newest one
        self._wanted: tuple[Pod, Mapping[str, Any]] | None = None
        self._task: asyncio.Task[None] | None = None

    def current(self, pod: Pod) -> Pod:
        """`pod`, or what our last write made of it if that is newer."""
        ours = self._ours
        if ours is None or ours.metadata.uid != pod.metadata.uid:
            return pod
        if int(ours.metadata.resourceVersion or 0) > int(pod.metadata.resourceVersion or 0):
            return ours
        self._ours = None
        return pod

    def put(self, pod: Pod, status: Mapping[str, Any], *, surely: bool = False) -> None:
        """Make the API say `status`, soon; `surely`: also when a newer one comes before it is written."""
        if self._task is None and status_patch(pod.metadata.uid, pod.status.to_dict(), status) is None:
            return
        if surely:
            self._first, self._wanted = (pod, status), None
        else:
            self._wanted = (pod, status)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"status {pod.metadata.namespace}/{pod.metadata.name}")

    async def flush(self) -> None:
        """Return when everything put so far is written or cannot be."""
        while self._task is not None:
            await asyncio.shield(self._task)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        delay = FIRST_RETRY_SECONDS
        try:
            while (chosen := self._first or self._wanted) is not None:
                pod, status = chosen
                if self._first is not None:
                    self._first = None
                else:
                    self._wanted = None
                try:
                    await self._write(pod, status)
                    delay = FIRST_RETRY_SECONDS
                except ApiError as error:
                    if error.not_found or error.code == 409:
                        return  # the pod is gone, or is another one
                    _log.warning("status refused", extra=fields(pod=pod.metadata.name, cause=error))
                    if 400 <= error.code < 500 and error.code != 429:
                        return
                    self._wanted = self._wanted or (pod, status)
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, LAST_RETRY_SECONDS)
                except ConnectionFailed:
                    self._wanted = self._wanted or (pod, status)
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, LAST_RETRY_SECONDS)
        finally:
            self._task = None

    async def _write(self, pod: Pod, status: Mapping[str, Any]) -> None:
        base = self.current(pod)
        patch = status_patch(pod.metadata.uid, base.status.to_dict(), status)
        if patch is None:
            return
        meta = pod.metadata
        self._ours = await self._node.client.patch(
            Pod, meta.name, meta.namespace, patch, patch_type="strategic", subresource="status"
        )
