"""The default roles and bindings, made at start and put right where somebody took something away.

What must stay true: reconciling adds, it never removes; an object whose autoupdate annotation is "false" is its
owner's; a binding to another role is replaced, because a roleRef cannot be changed.
"""

from __future__ import annotations

import asyncio
import copy
from typing import Any

from apiserver.authorization.coverage import missing
from apiserver.authorization.defaultbindings import AUTOUPDATE, GROUP, default_objects
from apiserver.authorization.rules import from_wire
from apiserver.bootstrap import Bootstrap
from apiserver.resources import Resources
from tiphys.api.kinds import KindInfo
from tiphys.api.status import StatusError

Obj = dict[str, Any]


async def ensure_defaults(bootstrap: Bootstrap, resources: Resources) -> None:
    """Create or reconcile everything in `default_objects`.  Raises StatusError."""
    for plural, wanted in default_objects().items():
        info = resources.registry.get(GROUP, "v1", plural)
        if info is not None:
            await asyncio.gather(*(_ensure(bootstrap, resources, info, one) for one in wanted))


async def _ensure(bootstrap: Bootstrap, resources: Resources, info: KindInfo, wanted: Obj) -> None:
    metadata = wanted["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    if await bootstrap.ensure(GROUP, "v1", info.plural, namespace, wanted):
        return
    found = resources.of(info).peek(namespace, name)
    if found is None or reconciled(found, wanted) == found:
        return
    if "roleRef" in wanted and found.get("roleRef") != wanted["roleRef"]:
        await bootstrap.remove(info, namespace, name)
        await bootstrap.ensure(GROUP, "v1", info.plural, namespace, wanted)
        return
    try:
        await bootstrap.change(info, namespace, name, lambda current: reconciled(current, wanted))
    except StatusError as error:
        if error.code != 404:  # deleted since: the next start makes it
            raise


def reconciled(found: Obj, wanted: Obj) -> Obj:
    """`found` with everything of `wanted` that it lacks; `found` itself where its owner said hands off."""
    if found["metadata"].get("annotations", {}).get(AUTOUPDATE) == "false":
        return found
    new = copy.deepcopy(found)
    for part in ("labels", "annotations"):
        new["metadata"][part] = {**wanted["metadata"].get(part, {}), **found["metadata"].get(part, {})}
    if "roleRef" in wanted:
        if found.get("roleRef") != wanted["roleRef"]:
            new["roleRef"] = wanted["roleRef"]
        absent = [one for one in wanted.get("subjects", []) if one not in found.get("subjects", [])]
        if absent:
            new["subjects"] = [*found.get("subjects", []), *absent]
        return new
    if "aggregationRule" in wanted:
        selectors = new.setdefault("aggregationRule", {}).setdefault("clusterRoleSelectors", [])
        selectors += [one for one in wanted["aggregationRule"]["clusterRoleSelectors"] if one not in selectors]
        return new
    lacking = missing([from_wire(one) for one in found.get("rules") or ()], [from_wire(one) for one in wanted["rules"]])
    if lacking:
        new["rules"] = [*(found.get("rules") or ()), *(one.to_wire() for one in lacking)]
    return new
