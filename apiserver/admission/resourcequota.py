"""ResourceQuota: what is written must fit into what the namespace has left, and is charged at once.

The charge is a compare-and-swap on the quota's own status, so two writers cannot both take the last of it.  Whoever
counts the objects afterwards corrects what a failed write has charged.

What must stay true: nothing is charged in a dry run, and nothing before every quota has been asked.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from decimal import Decimal

from apiserver.admission import Attributes, Obj, Plugin
from apiserver.resources import Resources
from tiphys.api.core.pod_resources import Amounts, added, amounts
from tiphys.api.core.quota_usage import concerns, shown, unspecified, usage
from tiphys.api.status import StatusError

_UPDATED = frozenset({("", "services"), ("", "persistentvolumeclaims")})
_QUOTAS = "/registry/core/resourcequotas/"


class ResourceQuota(Plugin):
    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._cached = resources.cache.resource(_QUOTAS)

    async def validate(self, attributes: Attributes) -> None:
        if not len(self._cached) or not attributes.namespace or attributes.obj is None:
            return
        if not _is_counted(attributes):
            return
        quotas = self._resources.named("", "resourcequotas")
        assert quotas is not None
        group, plural = attributes.info.group, attributes.info.plural
        due = []
        for quota in quotas.peek_all(attributes.namespace):
            more = _delta(quota, group, plural, attributes)
            if more is None:
                continue
            _check(quota, more, attributes)
            if any(amount > 0 for amount in more.values()):
                due.append((quota["metadata"]["name"], more))
        if attributes.dry_run:
            return
        for name, more in due:

            async def charge(current: Obj, more: Amounts = more) -> Obj:
                _check(current, more, attributes)
                return charged(current, more)

            try:
                await quotas.change(attributes.namespace, name, charge)
            except StatusError as error:
                if error.code != 404:
                    raise


def _is_counted(attributes: Attributes) -> bool:
    kind = (attributes.info.group, attributes.info.plural)
    if attributes.operation == "CREATE":
        return not attributes.subresource
    if attributes.operation != "UPDATE":
        return False
    return (kind in _UPDATED and not attributes.subresource) or (
        kind == ("", "pods") and attributes.subresource == "resize"
    )


def _delta(quota: Obj, group: str, plural: str, attributes: Attributes) -> Amounts | None:
    """What the write takes of this quota more than before; None: the quota is not about it.  Raises 403."""
    obj = attributes.obj
    assert obj is not None
    used = usage(group, plural, obj)
    if not concerns(quota, group, plural, obj, used):
        return None
    if (group, plural) == ("", "pods"):
        missing = unspecified(quota, obj)
        if missing:
            raise attributes.refuse(f"failed quota: {quota['metadata']['name']}: must specify {missing}")
    if attributes.old is not None:
        used = added(used, {name: -amount for name, amount in usage(group, plural, attributes.old).items()})
    hard = quota["spec"].get("hard") or {}
    return {name: amount for name, amount in used.items() if name in hard}


def _check(quota: Obj, more: Mapping[str, Decimal], attributes: Attributes) -> None:
    """Raises 403."""
    name, status = quota["metadata"]["name"], quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    wanted = {resource: amount for resource, amount in more.items() if amount > 0}
    unknown = sorted(resource for resource in wanted if resource not in used or resource not in hard)
    if unknown:
        raise attributes.refuse(f"status unknown for quota: {name}, resources: {','.join(unknown)}")
    limits, now = amounts(hard), amounts(used)
    exceeded = {one: amount for one, amount in wanted.items() if now[one] + amount > limits[one]}
    if exceeded:
        texts = (
            _listed(shown(exceeded, hard)),
            _listed({one: used[one] for one in exceeded}),
            _listed({one: hard[one] for one in exceeded}),
        )
        text = f"exceeded quota: {name}, requested: {texts[0]}, used: {texts[1]}, limited: {texts[2]}"
        raise attributes.refuse(text)


def _listed(values: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(values.items()))


def charged(quota: Obj, more: Amounts) -> Obj:
    """The quota with so much more in use."""
    new = copy.deepcopy(quota)
    used = new.setdefault("status", {}).setdefault("used", {})
    total = added(amounts({name: used[name] for name in more if name in used}), more)
    like = {**(new["status"].get("hard") or {}), **{name: text for name, text in used.items() if text != "0"}}
    used.update(shown({name: max(amount, Decimal(0)) for name, amount in total.items() if name in used}, like))
    return new
