"""Recording events: what happened to an object, for people who ask why.

`event` never waits and never fails: a bounded queue and one task write in the background, in order.  When the queue is
full the event is dropped; losing events is better than holding up a controller.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson

from tiphys.api.times import format_time
from tiphys.client.errors import ConnectionFailed, Deposed, error_of_response
from tiphys.client.eventcorrelation import Correlator, Decision, Happening
from tiphys.client.resources import ApiObject, resource_of
from tiphys.client.rest import PATCH_TYPES, Client
from tiphys.clock import Clock, SystemClock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

QUEUED = 1000
MAX_MESSAGE_LENGTH = 1024
TRIES = 3
RETRY_SECONDS = 1.0


class EventRecorder:
    """Events from one component (`source`, e.g. "deployment-controller") on one host ("" : no host)."""

    def __init__(self, client: Client, source: str, host: str = "", clock: Clock | None = None) -> None:
        self.client = client
        self.source = source
        self.host = host
        self.clock = clock or SystemClock()
        self._correlator = Correlator()
        self._queue: asyncio.Queue[tuple[dict[str, Any], Happening, str, str]] = asyncio.Queue(QUEUED)
        self._task: asyncio.Task[None] | None = None

    def event(self, obj: ApiObject, type: str, reason: str, message: str, *, source: str = "") -> None:
        """`type` is Normal or Warning.  `source` names another component than the recorder's own."""
        resource = resource_of(type_of(obj))
        meta = obj.metadata
        reference = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "name": meta.name,
            "namespace": meta.namespace,
            "uid": meta.uid,
            "resourceVersion": meta.resourceVersion,
        }
        self.event_for({key: value for key, value in reference.items() if value}, type, reason, message, source=source)

    def event_for(self, reference: dict[str, Any], type: str, reason: str, message: str, *, source: str = "") -> None:
        """As `event`, for an object known only by its ObjectReference in wire form (may have a fieldPath)."""
        message = message[:MAX_MESSAGE_LENGTH]
        happening = Happening(
            reference.get("namespace") or "default",
            f"{reference.get('uid', '')}{reference.get('fieldPath', '')}",
            reference.get("name", ""),
            reference.get("kind", ""),
            type,
            reason,
            message,
        )
        name = f"{happening.object_name}.{int(self.clock.now().timestamp() * 1e9):x}"
        try:
            self._queue.put_nowait((reference, happening, name, source or self.source))
        except asyncio.QueueFull:
            _log.warning("event dropped", extra=fields(reason=reason, object=happening.object_name))
            return
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all(), name="events")

    async def flush(self) -> None:
        """Return when every event recorded so far was written or given up."""
        await self._queue.join()

    async def stop(self) -> None:
        """End the task; events still queued are lost (call `flush` first where that matters)."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write_all(self) -> None:
        while True:
            reference, happening, name, source = await self._queue.get()
            try:
                await self._write(reference, happening, name, source)
            except Exception:
                _log.exception("event failed", extra=fields(reason=happening.reason))
            finally:
                self._queue.task_done()

    async def _write(self, reference: dict[str, Any], happening: Happening, name: str, source: str) -> None:
        timestamp = format_time(self.clock.now())
        decision = self._correlator.decide(happening, self.clock.monotonic(), timestamp)
        if decision is None:
            return
        for attempt in range(TRIES):
            try:
                if decision.name and await self._count_up(decision, timestamp):
                    self._correlator.written(decision, decision.name)
                    return
                await self._create(decision, reference, name, source, timestamp)
                self._correlator.written(decision, name)
                return
            except Deposed:
                return
            except ConnectionFailed as error:
                if attempt == TRIES - 1:
                    _log.warning("event lost", extra=fields(reason=happening.reason, cause=error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _count_up(self, decision: Decision, timestamp: str) -> bool:
        """False when the event is not there any more (events live for an hour only)."""
        patch = {"count": decision.count, "lastTimestamp": timestamp, "message": decision.happening.message}
        status, headers, body = await self.client.request(
            "PATCH",
            f"/api/v1/namespaces/{decision.happening.namespace}/events/{decision.name}",
            body=orjson.dumps(patch),
            headers={"Content-Type": PATCH_TYPES["strategic"]},
        )
        if status == 404:
            self._correlator.forget(decision.happening)
            return False
        if status >= 400:
            _log.warning("event refused", extra=fields(reason=error_of_response(status, headers, body)))
        return True

    async def _create(
        self, decision: Decision, reference: dict[str, Any], name: str, source: str, timestamp: str
    ) -> None:
        namespace = decision.happening.namespace
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": reference,
            "reason": decision.happening.reason,
            "message": decision.happening.message,
            "source": {"component": source, **({"host": self.host} if self.host else {})},
            "firstTimestamp": decision.first_timestamp,
            "lastTimestamp": timestamp,
            "count": decision.count,
            "type": decision.happening.type,
            "eventTime": None,
            "reportingComponent": source,
            "reportingInstance": self.host,
        }
        status, headers, body = await self.client.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/events",
            body=orjson.dumps(event),
            headers={"Content-Type": "application/json"},
        )
        if status >= 400:
            error = error_of_response(status, headers, body)
            level = logging.DEBUG if error.namespace_terminating or status == 404 else logging.WARNING
            _log.log(level, "event refused", extra=fields(reason=error))


def type_of(obj: ApiObject) -> type[ApiObject]:
    """The class of an object, where the name `type` means something else."""
    return type(obj)
