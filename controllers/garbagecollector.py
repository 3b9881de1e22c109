"""Garbage collection: objects whose owners are gone go too.

One metadata-only informer per deletable resource feeds the owner graph (garbagecollector_graph.py); the graph names the
objects that may need action, and each is decided on from live state: the object and its owners are asked for on the
server, because deleting on the word of a cache would delete things that are wanted.

Background: the owner is gone, the dependents are deleted.  Foreground: the owner carries the foregroundDeletion
finalizer until no dependent that blocks it is left.  Orphan: the dependents lose their reference first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from controllers.garbagecollector_graph import FOREGROUND, ORPHAN, Graph, Node, OwnerState, can_own, plan
from tiphys.api.meta import ObjectMeta, OwnerReference
from tiphys.client.controller import Environment
from tiphys.client.discovery import ServedResource, discover
from tiphys.client.errors import ApiError, ConnectionFailed, Deposed
from tiphys.client.informer import Informer
from tiphys.client.resources import PartialObject
from tiphys.client.workqueue import ShutDown, WorkQueue
from tiphys.logs import fields

_log = logging.getLogger(__name__)

WORKERS = 10
DEFINITIONS = "customresourcedefinitions"
SYNC_SECONDS = 30.0  # a resource that vanishes while its informer starts would be waited for in vain
RETRY_SECONDS = 1.0
IGNORED = frozenset({("", "events"), ("events.k8s.io", "events")})  # live an hour, own nothing, come in masses


class UnknownOwnerKind(Exception):
    """The server serves no such kind, or not in a scope the object can refer to: nothing may be concluded."""


class GarbageCollector:
    name = "garbage-collector-controller"

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.client = environment.client_of(self.name)
        self.graph = Graph()
        self.queue: WorkQueue[str] = WorkQueue("garbage_collector_attempt_to_delete", environment.registry)
        self._kinds: dict[tuple[str, str], ServedResource] = {}
        self._informers: dict[ServedResource, Informer[PartialObject]] = {}
        self._definitions_changed = asyncio.Event()
        self._warned: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Collect until cancelled."""
        try:
            await self._follow_served()
            async with asyncio.TaskGroup() as workers:
                workers.create_task(self._follow_definitions(), name=f"{self.name} definitions")
                for number in range(WORKERS):
                    workers.create_task(self._work(), name=f"{self.name} worker {number}")
        finally:
            self.queue.shut_down()
            await asyncio.gather(*(informer.stop() for informer in self._informers.values()))

    async def _follow_served(self) -> None:
        """One informer for every collectable resource the server has now; none for those that are gone."""
        all_served = await discover(self.client)
        self._kinds = {(served.group, served.kind): served for served in reversed(all_served)}
        wanted = {
            served
            for served in all_served
            if served.can("delete", "list", "watch") and (served.group, served.plural) not in IGNORED
        }
        for served in self._informers.keys() - wanted:
            await self._informers.pop(served).stop()
        started = []
        for served in wanted - self._informers.keys():
            informer = self._informers[served] = Informer(self.client, served.partial, random=self.environment.random)
            informer.add_handler(self._handler(served))
            informer.start()
            started.append(informer)
        await asyncio.gather(*(informer.wait_synced() for informer in started))

    async def _follow_definitions(self) -> None:
        """Custom resources come and go while we run."""
        while True:
            await self._definitions_changed.wait()
            self._definitions_changed.clear()
            try:
                async with asyncio.timeout(SYNC_SECONDS):
                    await self._follow_served()
            except (ApiError, ConnectionFailed, TimeoutError) as error:
                _log.info("resources not followed", extra=fields(reason=error))
                await asyncio.sleep(RETRY_SECONDS)
                self._definitions_changed.set()

    def _handler(self, served: ServedResource) -> Callable[[PartialObject | None, PartialObject | None], None]:
        def handler(old: PartialObject | None, new: PartialObject | None) -> None:
            if served.plural == DEFINITIONS:
                self._definitions_changed.set()
            affected: set[str] = set()
            if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
                affected |= self.graph.drop(old.metadata.uid)
            if new is not None:
                affected |= self.graph.put(Node(served, new.metadata))
            for uid in affected:
                self.queue.add(uid)

        return handler

    async def _work(self) -> None:
        while True:
            try:
                uid = await self.queue.get()
            except ShutDown:
                return
            try:
                await self._attempt(uid)
                self.queue.forget(uid)
            except Deposed:
                self.queue.shut_down()
            except UnknownOwnerKind as error:
                _log.debug("owner not resolvable", extra=fields(uid=uid, reason=error))
                self.queue.forget(uid)
            except (ApiError, ConnectionFailed) as error:
                _log.debug("collection failed", extra=fields(uid=uid, reason=error))
                self.queue.add_rate_limited(uid)
            except Exception:
                _log.exception("collection crashed", extra=fields(uid=uid))
                self.queue.add_rate_limited(uid)
            finally:
                self.queue.done(uid)

    async def _attempt(self, uid: str) -> None:
        node = self.graph.nodes.get(uid)
        if node is None:
            return
        if node.orphaning:
            await self._orphan_dependents(node)
        elif node.deleting_dependents:
            await self._wait_for_dependents(node)
        elif not node.deleting and not self._all_owners_well(node):
            await self._decide(node)

    def _all_owners_well(self, node: Node) -> bool:
        owners = [self.graph.nodes.get(reference.uid) for reference in node.owners]
        return all(owner is not None and not owner.deleting_dependents and can_own(owner, node) for owner in owners)

    async def _decide(self, node: Node) -> None:
        live = await self._live(node)
        if live is None:
            return
        states = {reference.uid: await self._owner_state(node, reference) for reference in live.ownerReferences}
        action = plan(live, states, self.graph.dependents(node.uid))
        if action.remove_owners:
            keep = [reference for reference in live.ownerReferences if reference.uid not in action.remove_owners]
            await self._patch_owners(node, live, keep)
        elif action.delete:
            if action.unblock:
                free = [owner.model_copy(update={"blockOwnerDeletion": False}) for owner in live.ownerReferences]
                live = await self._patch_owners(node, live, free)
            await self._delete(node, live, action.delete)

    async def _owner_state(self, node: Node, reference: OwnerReference) -> OwnerState:
        """The owner as the server has it now, not as we remember it."""
        served = self._kinds.get((reference.apiVersion.rpartition("/")[0], reference.kind))
        if served is None or (served.namespaced and not node.resource.namespaced):
            raise UnknownOwnerKind(f"{reference.apiVersion} {reference.kind} {reference.name}")
        known = self.graph.nodes.get(reference.uid)
        if known is not None and not can_own(known, node):
            self._warn_namespace(node, reference)
        try:
            owner = await self.client.get(served.partial, reference.name, node.metadata.namespace)
        except ApiError as error:
            if error.not_found:
                return OwnerState.ABSENT
            raise
        if owner.metadata.uid != reference.uid:
            return OwnerState.ABSENT
        waiting = bool(owner.metadata.deletionTimestamp) and FOREGROUND in owner.metadata.finalizers
        return OwnerState.WAITING if waiting else OwnerState.SOLID

    def _warn_namespace(self, node: Node, reference: OwnerReference) -> None:
        if (node.uid, reference.uid) in self._warned:
            return
        self._warned.add((node.uid, reference.uid))
        shown = (
            f"{reference.apiVersion}/{reference.kind}, namespace: {node.metadata.namespace}, "
            f"name: {reference.name}, uid: {reference.uid}"
        )
        message = f'ownerRef [{shown}] does not exist in namespace "{node.metadata.namespace}"'
        about = {
            "apiVersion": f"{node.resource.group}/{node.resource.version}".lstrip("/"),
            "kind": node.resource.kind,
            "namespace": node.metadata.namespace,
            "name": node.metadata.name,
            "uid": node.uid,
        }
        self.environment.events.event_for(about, "Warning", "OwnerRefInvalidNamespace", message, source=self.name)

    async def _wait_for_dependents(self, node: Node) -> None:
        """Foreground: have the blocking dependents deleted, and let the owner go when none is left."""
        blocking = [dependent for dependent in self.graph.dependents(node.uid) if dependent.blocks(node.uid)]
        if not blocking:
            await self._remove_finalizer(node, FOREGROUND)
        for dependent in blocking:
            if not dependent.deleting:
                self.queue.add(dependent.uid)

    async def _orphan_dependents(self, node: Node) -> None:
        for dependent in self.graph.dependents(node.uid):
            live = await self._live(dependent)
            if live is not None:
                keep = [reference for reference in live.ownerReferences if reference.uid != node.uid]
                if len(keep) < len(live.ownerReferences):
                    await self._patch_owners(dependent, live, keep)
        await self._remove_finalizer(node, ORPHAN)

    # Single requests

    async def _live(self, node: Node) -> ObjectMeta | None:
        """The object's metadata on the server; None when it is gone or another one has its name."""
        try:
            found = await self.client.get(node.resource.partial, node.metadata.name, node.metadata.namespace)
        except ApiError as error:
            if error.not_found:
                return None
            raise
        return found.metadata if found.metadata.uid == node.uid else None

    async def _patch_owners(self, node: Node, live: ObjectMeta, owners: Sequence[OwnerReference]) -> ObjectMeta:
        return await self._patch(node, live, {"ownerReferences": [owner.to_dict() for owner in owners] or None})

    async def _remove_finalizer(self, node: Node, finalizer: str) -> None:
        live = await self._live(node)
        if live is not None and finalizer in live.finalizers:
            keep = [name for name in live.finalizers if name != finalizer]
            await self._patch(node, live, {"finalizers": keep or None})

    async def _patch(self, node: Node, live: ObjectMeta, change: dict[str, Any]) -> ObjectMeta:
        """A merge patch on exactly the object that was looked at: anything newer is a conflict, and decided anew."""
        patch = {"metadata": {**change, "uid": live.uid, "resourceVersion": live.resourceVersion}}
        done = await self.client.patch(node.resource.partial, live.name, live.namespace, patch)
        return done.metadata

    async def _delete(self, node: Node, live: ObjectMeta, propagation: str) -> None:
        try:
            await self.client.delete(
                node.resource.partial,
                live.name,
                live.namespace,
                propagation=propagation,
                uid=live.uid,
                resource_version=live.resourceVersion,
            )
        except ApiError as error:
            if not error.not_found:
                raise
