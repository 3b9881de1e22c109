"""Priority and fairness in the request chain: each request is classified, gets its seat, and is told where it was.

The objects are read when they change, never for a request; which schema a caller's kind of request falls under is
remembered.  Watches and other streams are classified and take no seat: they are not work that ends.

What must stay true: without any object left, requests are served all the same.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from apiserver.bootstrap import Bootstrap
from apiserver.encoding import status_response
from apiserver.flowcontrol.classification import FlowSchema, read_schemas
from apiserver.flowcontrol.levels import Level, Levels
from apiserver.flowcontrol.suggested import (
    CATCH_ALL,
    GROUP,
    LEVELS,
    MANDATORY,
    SCHEMAS,
    VERSION,
    flow_schemas,
    priority_levels,
)
from apiserver.request import AnyResponse, Handler, Request
from apiserver.resources import Resources
from apiserver.storage.store import Compacted, StoreError
from tiphys.api.status import StatusError
from tiphys.api.times import format_time
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

SEATS = 600  # upstream's: 400 for reading and 200 for writing
SCHEMA_HEADER, LEVEL_HEADER = "X-Kubernetes-PF-FlowSchema-UID", "X-Kubernetes-PF-PriorityLevel-UID"
_LONG = frozenset({"log", "exec", "attach", "portforward", "proxy"})
_REMEMBERED = 20_000
_PREFIX = f"/registry/{GROUP}/"
Obj = dict[str, Any]
Place = tuple[FlowSchema, Level]


class FlowControl:
    """`ensure` and `refresh` at the start, then `run` in a task; `filter` is part of the request chain."""

    def __init__(self, resources: Resources, clock: Clock, seats: int = SEATS) -> None:
        self._resources = resources
        self._clock = clock
        self.levels = Levels(seats)
        self._schemas: list[FlowSchema] = []
        self._known: dict[tuple[Any, ...], Place | None] = {}

    async def filter(self, request: Request, following: Handler) -> AnyResponse:
        place = self._place(request)
        if place is None:
            return await following(request)
        schema, level = place
        info = request.info
        if info.verb == "watch" or info.subresource in _LONG:
            return _told(await following(request), schema, level)
        try:
            await self.levels.enter(level, f"{schema.name}/{schema.flow(request.user, info)}")
            try:
                return _told(await following(request), schema, level)
            finally:
                self.levels.leave(level)
        except StatusError as error:
            return _told(status_response(error), schema, level)

    def _place(self, request: Request) -> Place | None:
        user, info = request.user, request.info
        where = (info.group, info.resource, info.subresource, info.namespace) if info.is_resource else info.path
        key = (user.name, user.groups, info.verb, where)
        try:
            return self._known[key]
        except KeyError:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
        schema = next((one for one in self._schemas if one.matches(user, info)), None)
        level = self.levels.get(schema.level) if schema is not None else None
        if level is None:  # nothing wants it, or its level is not there
            schema = next((one for one in self._schemas if one.name == CATCH_ALL), None)
            level = self.levels.get(CATCH_ALL)
        found = self._known[key] = None if schema is None or level is None else (schema, level)
        return found

    # --- the objects ---------------------------------------------------------------------------------------------

    async def ensure(self, bootstrap: Bootstrap, *, only: frozenset[str] | None = None) -> None:
        """Create what is missing (of the names in `only`)."""
        for plural, objects in ((LEVELS, priority_levels()), (SCHEMAS, flow_schemas())):
            for obj in objects:
                if only is None or obj["metadata"]["name"] in only:
                    await bootstrap.ensure(GROUP, VERSION, plural, "", obj)

    def refresh(self) -> None:
        """Read the objects as the cache has them now."""
        levels, schemas = self._objects(LEVELS), self._objects(SCHEMAS)
        self.levels.update(levels)
        self._schemas = read_schemas(schemas)
        self._known.clear()

    def _objects(self, plural: str) -> list[Obj]:
        store = self._resources.named(GROUP, plural)
        return store.peek_all() if store is not None else []

    async def run(self, bootstrap: Bootstrap) -> None:
        """Follow the objects until cancelled."""
        await asyncio.gather(*(self._follow(plural, bootstrap) for plural in (LEVELS, SCHEMAS)))

    async def _follow(self, plural: str, bootstrap: Bootstrap) -> None:
        cache = self._resources.cache
        while True:
            try:
                watch = await cache.watch(f"{_PREFIX}{plural}/", revision=0, initial=True)
                await self._settle(bootstrap)
                while True:
                    await watch.next()
                    await self._settle(bootstrap)
            except Compacted:
                continue  # somebody wrote thousands: read again
            except StoreError:
                return  # the cache is closed
            except StatusError as error:
                _log.warning("flow control objects cannot be kept", extra=fields(error=error.message))
                await asyncio.sleep(1)

    async def _settle(self, bootstrap: Bootstrap) -> None:
        self.refresh()
        there = {one.name for one in self._schemas}
        if not there >= MANDATORY or any(self.levels.get(name) is None for name in MANDATORY):
            await self.ensure(bootstrap, only=MANDATORY)
        await self._report(bootstrap)

    async def _report(self, bootstrap: Bootstrap) -> None:
        """Each schema says whether its level exists."""
        info = self._resources.registry.get(GROUP, VERSION, SCHEMAS)
        assert info is not None
        now = format_time(self._clock.now())
        for obj in self._objects(SCHEMAS):
            level = obj["spec"]["priorityLevelConfiguration"]["name"]
            wanted = dangling(level, exists=self.levels.get(level) is not None)
            if _condition(obj) == (wanted["status"], wanted["reason"]):
                continue

            def edit(current: Obj, wanted: Obj = wanted) -> Obj:
                status = current.setdefault("status", {})
                others = [one for one in status.get("conditions") or () if one.get("type") != "Dangling"]
                status["conditions"] = [*others, {**wanted, "lastTransitionTime": now}]
                return current

            try:
                await bootstrap.change(info, "", obj["metadata"]["name"], edit, manager="api-priority-and-fairness")
            except StatusError as error:
                if error.code != 404:
                    raise


def dangling(level: str, *, exists: bool) -> Obj:
    about = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    if exists:
        return {"type": "Dangling", "status": "False", "reason": "Found", "message": f"{about} and it exists"}
    text = f"{about} but there is no such object"
    return {"type": "Dangling", "status": "True", "reason": "NotFound", "message": text}


def _condition(obj: Obj) -> tuple[str, str]:
    for one in (obj.get("status") or {}).get("conditions") or ():
        if one.get("type") == "Dangling":
            return one.get("status", ""), one.get("reason", "")
    return "", ""


def _told(response: AnyResponse, schema: FlowSchema, level: Level) -> AnyResponse:
    response.headers[SCHEMA_HEADER] = schema.uid
    response.headers[LEVEL_HEADER] = level.uid
    return response
