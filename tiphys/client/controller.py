"""The one form of a controller, and what runs it.

A controller says as data what it is about: `kind` (whose keys it is asked to reconcile), `owns` (kinds whose objects
lead to the key of their controlling owner), `reads` (other kinds it looks at) and `writes`.  From that come the
informers, the mapping of events to keys, and its permissions (clusterrole.py).  `reconcile(key)` is told which
object, never what happened to it.

Read your own writes: each write made while a key is worked on is noted with its revision, and the key's next turn
waits until the cache of that kind has come that far.  So a plan is never made from a state older than the
controller's own last act on that key, and no controller needs hand-kept expectations.  A waiting key holds no worker.
A write whose answer was lost counts as made: the key waits for the server's newest revision.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, ClassVar, TypeVar

from prometheus_client import CollectorRegistry

from tiphys.api.selectors import from_label_selector
from tiphys.client.cache import Key, key_of
from tiphys.client.errors import ApiError, ConnectionFailed, Deposed
from tiphys.client.events import EventRecorder
from tiphys.client.informer import Informer
from tiphys.client.informers import Informers
from tiphys.client.ownership import controller_of, index_by_controller, index_orphans
from tiphys.client.resources import ApiObject, Resource
from tiphys.client.rest import Client, Write
from tiphys.client.workqueue import ShutDown, WorkQueue
from tiphys.clock import Clock, SystemClock
from tiphys.logs import fields

T = TypeVar("T", bound=ApiObject)
Model = type[Any]

_log = logging.getLogger(__name__)
ACCOUNT_NAMESPACE = "kube-system"
_working_on: ContextVar[Key | None] = ContextVar("working_on", default=None)


@dataclass(frozen=True)
class Writes:
    """One line of a controller's permissions: the verbs it uses on a kind (or on a subresource of it)."""

    kind: Model | Resource[Any]
    verbs: tuple[str, ...]
    subresource: str = ""


@dataclass
class Environment:
    """What a controller is given; one per program."""

    client: Client
    informers: Informers
    events: EventRecorder
    clock: Clock = field(default_factory=SystemClock)
    random: Random = field(default_factory=Random)
    registry: CollectorRegistry | None = None
    pki_dir: Path | None = None  # where the cluster's keys are, for those who sign
    cluster_cidrs: tuple[str, ...] = ()  # ranges that the nodes' pod ranges are taken from; () when nobody does
    own_identities: bool = False  # each controller acts as its own service account (clusterrole.py)

    def client_of(self, name: str, on_write: Callable[[Write], None] | None = None) -> Client:
        """The client of the controller `name`."""
        return self.client.derived(on_write=on_write, user=account_user(name) if self.own_identities else "")


def account_user(name: str) -> str:
    """The user that a controller acts as."""
    return f"system:serviceaccount:{ACCOUNT_NAMESPACE}:{name}"


class Controller:
    """Subclass it, fill in the data, write `reconcile`."""

    name: ClassVar[str]  # upstream's, e.g. "replicaset-controller"
    kind: ClassVar[Model]
    owns: ClassVar[tuple[Model, ...]] = ()
    adopts: ClassVar[bool] = False  # objects of `owns` without a controller lead to every owner whose selector matches
    reads: ClassVar[tuple[Model, ...]] = ()
    on_all: ClassVar[tuple[str, ...]] = ()  # verbs it uses on kinds that only running clusters know
    writes: ClassVar[tuple[Writes, ...]] = ()
    workers: ClassVar[int] = 5

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.clock = environment.clock
        self.events = environment.events
        self.queue: WorkQueue[Key] = WorkQueue(self.name.removesuffix("-controller"), environment.registry)
        self._written: dict[Key, _Written] = {}
        self.client = environment.client_of(self.name, self._note)
        for model in (self.kind, *self.owns, *self.reads):
            environment.informers.of(model)
        for model in self.owns:
            index_by_controller(self.cache(model))
            if self.adopts:
                index_orphans(self.cache(model))

    def cache(self, model: type[T]) -> Informer[T]:
        """The cached objects of `model`."""
        return self.environment.informers.of(model)

    async def reconcile(self, key: Key) -> float | None:
        """Bring the object `key` one step to where its spec wants it; it may be gone.

        Returns seconds after which to look again without any event, or None.  Raising retries with back-off."""
        raise NotImplementedError

    def setup(self) -> None:
        """Called once before the informers' first events: add indexes and further sources of keys here."""

    def on(self, model: Model, keys: Callable[[Any], Iterable[Key]]) -> None:
        """Every change of a `model` object leads to the keys its old and its new state name."""

        def handler(old: ApiObject | None, new: ApiObject | None) -> None:
            for obj in (old, new):
                if obj is not None:
                    for key in keys(obj):
                        self.queue.add(key)

        self.cache(model).add_handler(handler)

    # Running

    async def run(self) -> None:
        """Reconcile until cancelled.  The informers must have been started."""
        self.setup()
        self.on(self.kind, lambda obj: [key_of(obj)])
        for model in self.owns:
            self.on(model, self._owners)
        await asyncio.gather(*(self.cache(model).wait_synced() for model in (self.kind, *self.owns, *self.reads)))
        try:
            async with asyncio.TaskGroup() as workers:
                for number in range(self.workers):
                    workers.create_task(self._work(), name=f"{self.name} worker {number}")
        finally:
            self.queue.shut_down()

    def _owners(self, obj: ApiObject) -> Iterable[Key]:
        reference = controller_of(obj)
        namespace = obj.metadata.namespace
        owners = self.cache(self.kind)
        if reference is not None:
            resource = owners.resource
            if reference.kind == resource.kind and reference.apiVersion.rpartition("/")[0] == resource.group:
                yield Key(namespace, reference.name)
        elif self.adopts:
            for owner in owners.list(namespace):
                selector = getattr(owner.spec, "selector", None)
                if selector is not None and from_label_selector(selector).matches(obj.metadata.labels):
                    yield key_of(owner)

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except ShutDown:
                return
            try:
                if await self._knows_own_writes(key) and self._sees_own_writes(key):
                    await self._turn(key)
            finally:
                self.queue.done(key)

    async def _turn(self, key: Key) -> None:
        token = _working_on.set(key)
        try:
            again_seconds = await self.reconcile(key)
        except Deposed:
            self.queue.shut_down()
        except ApiError as error:
            # A conflict or a vanished object is everyday life: the cache will show why, and the next turn decides anew.
            level = logging.DEBUG if error.code in (404, 409) else logging.WARNING
            _log.log(level, "reconcile failed", extra=fields(controller=self.name, key=key, reason=error))
            self.queue.add_rate_limited(key)
        except ConnectionFailed as error:
            _log.info("reconcile interrupted", extra=fields(controller=self.name, key=key, reason=error))
            self.queue.add_rate_limited(key)
        except Exception:
            _log.exception("reconcile crashed", extra=fields(controller=self.name, key=key))
            self.queue.add_rate_limited(key)
        else:
            self.queue.forget(key)
            if again_seconds is not None:
                self.queue.add_after(key, again_seconds)
        finally:
            _working_on.reset(token)

    # Read your own writes

    def _note(self, write: Write) -> None:
        key = _working_on.get()
        if key is None or self.environment.informers.find(write.resource) is None:
            return
        noted = self._written.setdefault(key, _Written())
        if write.lost:
            noted.lost.add(write.resource)
        elif write.resource_version:
            noted.revisions[write.resource] = max(noted.revisions.get(write.resource, 0), int(write.resource_version))
        elif write.verb == "delete":
            noted.gone.append((write.resource, Key(write.namespace, write.name), write.uid))

    async def _knows_own_writes(self, key: Key) -> bool:
        """After a write without an answer: the server's revision now is one at which it has happened, or never will."""
        noted = self._written.get(key)
        if noted is None:
            return True
        for resource in tuple(noted.lost):
            try:
                page = await self.client.list(resource, limit=1)
            except (ApiError, ConnectionFailed) as error:
                _log.info("own write not known", extra=fields(controller=self.name, key=key, reason=error))
                self.queue.add_rate_limited(key)
                return False
            noted.revisions[resource] = max(noted.revisions.get(resource, 0), int(page.resource_version))
            noted.lost.discard(resource)
        return True

    def _sees_own_writes(self, key: Key) -> bool:
        """Whether the caches show what this controller wrote for `key`; if not, `key` comes back when they do."""
        noted = self._written.get(key)
        if noted is None:
            return True
        for resource, revision in noted.revisions.items():
            informer = self.environment.informers.find(resource)
            if informer is not None and informer.revision < revision:
                informer.when_reached(revision, lambda: self.queue.add(key))
                return False
        for resource, name, uid in noted.gone:
            informer = self.environment.informers.find(resource)
            if informer is not None and not informer.shows_gone(name, uid):
                informer.when_gone(name, uid, lambda: self.queue.add(key))
                return False
        del self._written[key]
        return True


@dataclass
class _Written:
    """What one key's last turns wrote and the caches may not show yet."""

    revisions: dict[Resource[Any], int] = field(default_factory=dict)
    gone: list[tuple[Resource[Any], Key, str]] = field(default_factory=list)
    lost: set[Resource[Any]] = field(default_factory=set)  # written to without an answer
