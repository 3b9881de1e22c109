"""The end of a custom resource: every object is deleted as a client would, and when the last is gone, so is the kind.

What must stay true: objects with finalizers are waited for, not removed; nothing is polled, the watch cache tells.
"""

from __future__ import annotations

import logging
from typing import Any

from apiserver.registry.deletion import plan_deletion
from apiserver.registry.options import DeleteOptions
from apiserver.registry.store import ResourceStore
from apiserver.storage.store import Compacted
from tiphys.api.status import StatusError
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)
Obj = dict[str, Any]


async def delete_instances(store: ResourceStore, clock: Clock) -> None:
    """Returns when there are no objects of the kind any more."""
    while True:
        watch = await store.cache.watch(store.prefix, initial=True)
        left = {item.key for item in watch.initial}
        for item in watch.initial:
            await _delete(store, item.namespace, item.name, clock)
        try:
            while left:
                for event in await watch.next(None):
                    if event.type == "DELETED":
                        left.discard(event.item.key)
                    elif event.item.key not in left:  # it came in while the kind was on its way out
                        left.add(event.item.key)
                        await _delete(store, event.item.namespace, event.item.name, clock)
            return
        except Compacted:
            continue  # look again at what is there


async def _delete(store: ResourceStore, namespace: str, name: str, clock: Clock) -> None:
    async def change(current: Obj) -> Obj | None:
        plan = plan_deletion(current, DeleteOptions(), store.strategy, clock.now())
        return None if plan.action == "remove" else plan.obj

    try:
        await store.change(namespace, name, change)
    except StatusError as error:
        if error.code != 404:
            _log.warning("custom resource not deleted", extra=fields(name=name, namespace=namespace, error=str(error)))
