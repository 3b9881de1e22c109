"""ResourceQuota: `status.hard` is what the spec allows, `status.used` is what the namespace's objects use.

Admission charges a quota before it lets an object in; this controller counts what is really there and puts the charge
right: after deletions, pods that have ended, refused writes, and for quotas that are younger than their objects.  Both
use the numbers of tiphys/api/core/quota_usage.py.

What must stay true: a charge is not taken back before its object had time to show up in our caches, so `used` is only
lowered when the quota has been left alone for SETTLE_SECONDS (or MOST_SECONDS have passed); writes carry the revision
of the quota that was counted for, so a charge in between refuses them.

Kinds that a quota only counts (`count/...`, configmaps, secrets) are watched from the first quota that names them on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.api.core.pod_resources import added
from tiphys.api.core.quota_usage import concerns, is_finished, shown, usage
from tiphys.api.core.resourcequota import ResourceQuota, ResourceQuotaStatus
from tiphys.api.core.service import Service
from tiphys.api.quantity import parse_quantity
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Environment, Writes
from tiphys.client.discovery import discover
from tiphys.client.informer import Informer
from tiphys.client.resources import ApiObject

SETTLE_SECONDS = 0.3
MOST_SECONDS = 3.0
RETRY_SECONDS = 5.0  # a kind that is not served yet may be one day

_FULL: Mapping[tuple[str, str], Any] = {
    ("", "pods"): Pod,
    ("", "services"): Service,
    ("", "persistentvolumeclaims"): PersistentVolumeClaim,
}
_BY_NAME = ("configmaps", "secrets", "replicationcontrollers", "resourcequotas", "services", "persistentvolumeclaims")
Kind = tuple[str, str]
"""(group, plural)"""


def kinds_of(hard: Iterable[str]) -> set[Kind]:
    """Which resources must be looked at to say how much of these names is used."""
    found: set[Kind] = set()
    for name in hard:
        if name.startswith("count/"):
            plural, _, group = name.removeprefix("count/").partition(".")
            found.add((group, plural))
        elif name in _BY_NAME:
            found.add(("", name))
        elif name.startswith("services."):
            found.add(("", "services"))
        elif name == "requests.storage" or ".storageclass.storage.k8s.io/" in name:
            found.add(("", "persistentvolumeclaims"))
        else:
            found.add(("", "pods"))
    return found


def count(quota: Mapping[str, Any], objects: Iterable[tuple[Kind, Mapping[str, Any]]]) -> dict[str, str]:
    """`status.used`: the sum over the namespace's objects that the quota is about, one entry per name in its hard."""
    hard: Mapping[str, str] = (quota.get("spec") or {}).get("hard") or {}
    total: dict[str, Decimal] = dict.fromkeys(hard, Decimal(0))
    for (group, plural), obj in objects:
        used = usage(group, plural, obj)
        if concerns(quota, group, plural, obj, used):
            total = added(total, {name: amount for name, amount in used.items() if name in hard})
    return shown(total, hard)


def lowers(used: Mapping[str, str], counted: Mapping[str, str]) -> bool:
    """Whether `counted` takes back something that `used` says is taken."""
    return any(name in used and parse_quantity(text) < parse_quantity(used[name]) for name, text in counted.items())


def same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """The same names and numbers, however they are written."""
    return one.keys() == other.keys() and all(parse_quantity(one[name]) == parse_quantity(other[name]) for name in one)


class ResourceQuotaController(Controller):
    name: ClassVar = "resourcequota-controller"
    kind = ResourceQuota
    reads = (Pod, Service, PersistentVolumeClaim)
    on_all: ClassVar = ("list", "watch")
    writes = (Writes(ResourceQuota, ("update",), "status"),)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._counted: dict[Kind, Informer[Any]] = {}
        self._changed: dict[Key, tuple[str, float, float]] = {}  # revision; when it was seen; since when a lower waits

    def setup(self) -> None:
        for kind, model in _FULL.items():
            self._follow(kind, self.cache(model))
        self._follow(("", "resourcequotas"), self.cache(ResourceQuota))

    def _follow(self, kind: Kind, informer: Informer[Any]) -> None:
        """Whatever may change what is used leads to the namespace's quotas."""
        self._counted[kind] = informer

        def handler(old: ApiObject | None, new: ApiObject | None) -> None:
            if isinstance(old, Pod) and isinstance(new, Pod) and not _pod_matters(old, new):
                return
            either = new if new is not None else old
            if either is not None:
                for quota in self.cache(ResourceQuota).list(either.metadata.namespace):
                    if kind in kinds_of(quota.spec.hard):
                        self.queue.add(Key(quota.metadata.namespace, quota.metadata.name))

        informer.add_handler(handler)

    async def _ensure_followed(self, kinds: set[Kind]) -> bool:
        """Watch what is not watched yet; False when the server does not serve one of them."""
        unknown = kinds - self._counted.keys()
        if not unknown:
            return True
        served = {(one.group, one.plural): one for one in await discover(self.environment.client) if one.namespaced}
        for kind in unknown & served.keys():
            informer = self.environment.informers.of(served[kind].partial)
            await informer.wait_synced()
            if kind not in self._counted:
                self._follow(kind, informer)
        return unknown <= served.keys()

    async def reconcile(self, key: Key) -> float | None:
        quota = self.cache(ResourceQuota).get(*key)
        if quota is None:
            self._changed.pop(key, None)
            return None
        kinds = kinds_of(quota.spec.hard)
        complete = await self._ensure_followed(kinds)
        counted = count(
            quota.to_dict(),
            (
                (kind, obj.to_dict())
                for kind in kinds & self._counted.keys()
                for obj in self._counted[kind].list(key.namespace)
            ),
        )
        status = quota.status
        again = None if complete else RETRY_SECONDS
        if same(status.hard, quota.spec.hard) and same(status.used, counted):
            self._changed.pop(key, None)
            return again
        if lowers(status.used, counted):
            wait_seconds = self._settling_seconds(key, quota)
            if wait_seconds > 0:
                return wait_seconds
        self._changed.pop(key, None)
        wanted = ResourceQuotaStatus(hard=dict(quota.spec.hard), used=counted)
        await self.client.update(quota.model_copy(update={"status": wanted}), subresource="status")
        return again

    def _settling_seconds(self, key: Key, quota: ResourceQuota) -> float:
        """How long to wait until a lower count may be believed."""
        now = self.clock.monotonic()
        revision, seen, since = self._changed.get(key, ("", now, now))
        if revision != quota.metadata.resourceVersion:
            seen = now
        self._changed[key] = (quota.metadata.resourceVersion, seen, since)
        return min(SETTLE_SECONDS - (now - seen), MOST_SECONDS - (now - since))


def _pod_matters(old: Pod, new: Pod) -> bool:
    """A pod's many status changes do not change what it uses."""
    if old.metadata.uid != new.metadata.uid or old.spec != new.spec:
        return True
    return is_finished({"status": {"phase": old.status.phase}}) != is_finished({"status": {"phase": new.status.phase}})
