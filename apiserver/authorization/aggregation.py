"""Aggregated cluster roles: `admin` is whatever the roles with the right label allow.

Upstream's clusterrole-aggregation-controller; here it is a part of the API server, so that a role is complete before
the first request and nobody outside needs the right to escalate.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import Any

from apiserver.authorization.defaultbindings import GROUP
from apiserver.bootstrap import Bootstrap, Edit
from apiserver.resources import Resources
from apiserver.storage.store import Compacted, StoreError
from tiphys.api.selectors import SelectorError, from_label_selector
from tiphys.api.status import StatusError
from tiphys.logs import fields

_log = logging.getLogger(__name__)
_MANAGER = "clusterrole-aggregation-controller"
Obj = dict[str, Any]


def aggregated_rules(role: Obj, roles: Sequence[Obj]) -> list[Obj]:
    """The rules `role` has by its selectors: each once, in the order of the roles' names."""
    rules: list[Obj] = []
    for selector in role["aggregationRule"].get("clusterRoleSelectors") or ():
        try:
            chosen = from_label_selector(selector)
        except SelectorError:
            continue
        for one in sorted(roles, key=lambda found: found["metadata"]["name"]):
            if one["metadata"]["name"] == role["metadata"]["name"]:
                continue
            if chosen.matches(one["metadata"].get("labels") or {}):
                rules += [rule for rule in one.get("rules") or () if rule not in rules]
    return rules


class ClusterRoleAggregation:
    """`sync` once at start, then `run`."""

    def __init__(self, resources: Resources, bootstrap: Bootstrap) -> None:
        self._resources = resources
        self._bootstrap = bootstrap

    async def run(self) -> None:
        """Keep every aggregated role right until cancelled."""
        store = self._resources.named(GROUP, "clusterroles")
        assert store is not None
        while True:
            try:
                watch = await self._resources.cache.watch(store.prefix, revision=0)
                await self.sync()
                async for _ in watch:
                    await self.sync()
            except Compacted:
                continue
            except StatusError as error:
                _log.warning("cluster role not aggregated", extra=fields(reason=error.message))
            except StoreError as error:
                _log.info("cluster roles are not watched any more", extra=fields(reason=str(error)))
                return

    async def sync(self) -> None:
        """Write every aggregated role whose rules are not what its selectors say; again until nothing changes."""
        store = self._resources.named(GROUP, "clusterroles")
        assert store is not None
        for _ in range(8):  # admin takes from edit, which takes from view
            roles = store.peek_all()
            pending = {
                role["metadata"]["name"]: rules
                for role in roles
                if role.get("aggregationRule") and (rules := aggregated_rules(role, roles)) != (role.get("rules") or [])
            }
            if not pending:
                return
            written = 0
            for name, rules in pending.items():
                with contextlib.suppress(StatusError):  # deleted since
                    changed = await self._bootstrap.change(store.info, "", name, _with(rules), manager=_MANAGER)
                    written = max(written, int(changed["metadata"]["resourceVersion"]))
            await self._resources.cache.wait_until(written)


def _with(rules: list[Obj]) -> Edit:
    return lambda role: {**role, "rules": rules}
