"""Follows the definitions: decides their names, serves what they declare, writes their status, cleans up after them.

One loop, level-triggered: whatever happened, `_settle(name)` looks at the definition as it is and makes the server and
the status agree with it.  What a definition declares is served before its status says so, so whoever waits for
Established can create objects at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from apiserver.crd.cleanup import delete_instances
from apiserver.crd.family import Family, webhook_of
from apiserver.crd.names import decide, names_taken
from apiserver.crd.status import (
    APPROVAL_CONFORMANT,
    CLEANUP,
    ESTABLISHED,
    GROUP,
    NAMES_ACCEPTED,
    PLURAL,
    TERMINATING,
    is_true,
    set_condition,
)
from apiserver.crd.store import CustomResourceStore
from apiserver.outbound import Outbound
from apiserver.registry.store import ResourceStore
from apiserver.resources import Resources
from apiserver.storage.store import Compacted, StoreError
from tiphys.api.apiextensions.customresourcedefinition_validation import approval, is_protected
from tiphys.api.apply import update_managed_fields
from tiphys.api.customresource.kind import versions_of
from tiphys.api.status import StatusError
from tiphys.api.times import format_time
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)
Obj = dict[str, Any]

RETRY_SECONDS = 1.0
_MANAGER = "kube-apiserver"
_APPROVAL = {
    "Approved": ("True", "ApprovedAnnotation"),
    "Unapproved": ("False", "UnapprovedAnnotation"),
    "Missing": ("False", "MissingAnnotation"),
    "Invalid": ("False", "InvalidAnnotation"),
}


class Served:
    """What is served of one definition, and the text it was made from."""

    def __init__(self, text: Obj, stores: list[CustomResourceStore]) -> None:
        self.text = text
        self.stores = stores  # of every version, served or not
        self.published: list[CustomResourceStore] = []


class CustomResources:
    """`changed(group)` is called whenever the kinds of a group have changed."""

    def __init__(self, resources: Resources, clock: Clock, changed: Callable[[str], None], outbound: Outbound) -> None:
        self._resources = resources
        self._outbound = outbound
        self._clock = clock
        self._changed = changed
        self._builtin = list(resources.registry.all())
        self._served: dict[str, Served] = {}
        self._cleaning: dict[str, asyncio.Task[None]] = {}

    @property
    def _definitions(self) -> ResourceStore:
        store = self._resources.named(GROUP, PLURAL)
        assert store is not None
        return store

    def start(self) -> None:
        """Serve what is established already; before anything listens."""
        for definition in self._definitions.peek_all():
            if is_true(definition, ESTABLISHED):
                with self._logged(definition["metadata"]["name"]):
                    self._serve(definition)

    @contextlib.contextmanager
    def _logged(self, name: str) -> Iterator[None]:
        """One bad definition must not keep the others from being served."""
        try:
            yield
        except Exception as error:
            _log.exception("custom resource definition not served", extra=fields(name=name, error=str(error)))

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    await self._follow()
                except (Compacted, StoreError, StatusError) as error:
                    _log.warning("custom resources are behind", extra=fields(error=str(error)))
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            await self._stop_cleaning(list(self._cleaning))

    async def _follow(self) -> None:
        store = self._definitions
        watch = await store.cache.watch(store.prefix, initial=True)
        names = {item.name for item in watch.initial}
        for gone in self._served.keys() - names:
            await self._forget(gone)
        await self._settle_all(item.name for item in watch.initial)
        while True:
            for event in await watch.next(None):
                if event.type == "DELETED":
                    await self._forget(event.item.name)
                    await self._settle_all(self._without_names())
                else:
                    await self._settle_all([event.item.name])

    def _without_names(self) -> list[str]:
        """Definitions that wait for a name somebody else had."""
        waiting = [one for one in self._definitions.peek_all() if not is_true(one, NAMES_ACCEPTED)]
        return [one["metadata"]["name"] for one in waiting]

    async def _settle_all(self, names: Iterable[str]) -> None:
        for name in names:
            with self._logged(name):
                await self._settle(name)

    async def _settle(self, name: str) -> None:
        definition = self._definitions.peek("", name)
        if definition is None:
            return
        if "deletionTimestamp" in definition["metadata"]:
            self._begin_cleanup(definition)
            return
        names = self._decide(definition)
        if names["accepted"] or is_true(definition, ESTABLISHED):
            self._serve(names["definition"])
        if names["definition"].get("status") != definition.get("status"):
            await self._write_status(name, names["definition"]["status"])
            if not is_true(definition, NAMES_ACCEPTED):
                return
            await self._settle_all(one for one in self._without_names() if one != name)

    def _decide(self, definition: Obj) -> Obj:
        """The definition with the status it should have."""
        name, now = definition["metadata"]["name"], format_time(self._clock.now())
        others = [one for one in self._definitions.peek_all() if one["metadata"]["name"] != name]
        decision = decide(definition, names_taken(definition["spec"]["group"], others, self._builtin))
        status = dict(definition.get("status") or {})
        status["conditions"] = [dict(one) for one in status.get("conditions") or ()]
        status["acceptedNames"] = decision.names
        wanted = {**definition, "status": status}
        said = "True" if decision.accepted else "False"
        set_condition(wanted, NAMES_ACCEPTED, said, decision.reason, decision.message, now)
        if not is_true(definition, ESTABLISHED):
            if decision.accepted:
                text = "the initial names have been accepted"
                set_condition(wanted, ESTABLISHED, "True", "InitialNamesAccepted", text, now)
            else:
                set_condition(wanted, ESTABLISHED, "False", "NotAccepted", "not all names are accepted", now)
        if is_protected(definition["spec"]["group"]):
            state, text = approval(definition)
            said, reason = _APPROVAL[state]
            set_condition(wanted, APPROVAL_CONFORMANT, said, reason, text, now)
        return {"accepted": decision.accepted, "definition": wanted}

    def _serve(self, definition: Obj) -> None:
        """Serve the versions of a definition as they are declared now; nothing when that is done already."""
        name, group = definition["metadata"]["name"], definition["spec"]["group"]
        terminating = is_true(definition, TERMINATING)
        text = {
            "spec": definition["spec"],
            "names": (definition.get("status") or {}).get("acceptedNames"),
            "terminating": terminating,
        }
        before = self._served.get(name)
        if before is not None and before.text == text:
            return
        versions = versions_of(definition, terminating=terminating)
        family = Family(versions, webhook_of(definition, self._outbound))
        resources = self._resources
        stores = [CustomResourceStore(one, family, resources.store, resources.cache) for one in versions]
        served = Served(text, stores)
        served.published = [store for store, one in zip(stores, versions, strict=True) if one.served]
        self._withdraw(before, {store.info.version for store in served.published})
        for store in served.published:
            resources.adopt(store)
        self._served[name] = served
        self._changed(group)
        _log.info("custom resource served", extra=fields(name=name, versions=",".join(one.name for one in versions)))

    def _withdraw(self, before: Served | None, kept: set[str]) -> None:
        for store in before.published if before is not None else ():
            self._resources.drop(store.info)
            if store.info.version not in kept:
                store.view.closed = True
                self._resources.cache.resource(store.prefix).wake()

    async def _forget(self, name: str) -> None:
        await self._stop_cleaning([name])
        before = self._served.pop(name, None)
        if before is not None:
            self._withdraw(before, set())
            self._end_watches(before)
            self._changed(before.text["spec"]["group"])
            _log.info("custom resource no longer served", extra=fields(name=name))

    def _end_watches(self, before: Served) -> None:
        """Every watch of the kind wakes up, finds its view closed and ends."""
        for store in before.published:
            objects = self._resources.cache.resource(store.prefix)
            objects.load(iter(objects.items()), self._resources.cache.revision)

    # --- deletion -----------------------------------------------------------------------------------------------------

    def _begin_cleanup(self, definition: Obj) -> None:
        name = definition["metadata"]["name"]
        if is_true(definition, ESTABLISHED):
            self._serve(definition)
        if CLEANUP in definition["metadata"].get("finalizers", ()) and name not in self._cleaning:
            self._cleaning[name] = asyncio.create_task(self._clean_up(name), name=f"clean up {name}")

    async def _clean_up(self, name: str) -> None:
        while True:
            try:
                await self._clean_up_once(name)
                return
            except (StatusError, StoreError) as error:
                if isinstance(error, StatusError) and error.code == 404:
                    return
                _log.warning("custom resource not cleaned up yet", extra=fields(name=name, error=str(error)))
                await asyncio.sleep(RETRY_SECONDS)

    async def _clean_up_once(self, name: str) -> None:
        served = self._served.get(name)
        if served is None:
            await self._finish(name, "NeverEstablished", "resource was never established")
            return
        text = "CustomResource deletion is in progress"
        await self._terminating(name, "True", "InstanceDeletionInProgress", text)
        kept = next(store for store in served.stores if store.version.is_storage)  # where nothing needs conversion
        await delete_instances(kept, self._clock)
        await self._finish(name, "InstanceDeletionCompleted", "removed all instances")

    async def _terminating(self, name: str, status: str, reason: str, message: str) -> None:
        now = format_time(self._clock.now())

        async def change(current: Obj) -> Obj:
            set_condition(current, TERMINATING, status, reason, message, now)
            return current

        await self._definitions.change("", name, change)

    async def _finish(self, name: str, reason: str, message: str) -> None:
        now = format_time(self._clock.now())

        async def change(current: Obj) -> Obj:
            set_condition(current, TERMINATING, "False", reason, message, now)
            left = [one for one in current["metadata"].get("finalizers", ()) if one != CLEANUP]
            if left:
                current["metadata"]["finalizers"] = left
            else:
                current["metadata"].pop("finalizers", None)
            return current

        await self._definitions.change("", name, change)

    async def _stop_cleaning(self, names: Iterable[str]) -> None:
        for name in names:
            task = self._cleaning.pop(name, None)
            if task is not None and task is not asyncio.current_task():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    # --- status -------------------------------------------------------------------------------------------------------

    async def _write_status(self, name: str, status: Obj) -> None:
        info, now = self._definitions.info, format_time(self._clock.now())

        async def change(current: Obj) -> Obj:
            if "deletionTimestamp" in current["metadata"]:
                return current
            written = {name: status[name] for name in ("conditions", "acceptedNames")}
            new = {**current, "status": {**(current.get("status") or {}), **written}}
            return update_managed_fields(
                current, new, info.schema, manager=_MANAGER, api_version=info.api_version, subresource="status", now=now
            )

        await self._definitions.change("", name, change)
