"""Nobody hands out more than they have: the check on every write of a role or a binding.

What must stay true: it runs on the object as admission left it and before anything is stored; `escalate` on a role and
`bind` on a role's binding are the only ways around it, besides system:masters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiserver.admission import Attributes as Write
from apiserver.admission import Plugin
from apiserver.authorization import Attributes, Authorizer, Decision
from apiserver.authorization.coverage import compact, missing
from apiserver.authorization.defaultbindings import GROUP
from apiserver.authorization.privilegedgroups import SYSTEM_MASTERS
from apiserver.authorization.rbac import RbacAuthorizer
from apiserver.authorization.rules import Rule, from_wire, path_rule, quoted, rule
from apiserver.requestinfo import RequestInfo
from tiphys.api.status import not_found

Obj = dict[str, Any]

_ROLES = frozenset({"roles", "clusterroles"})
_BINDINGS = frozenset({"rolebindings", "clusterrolebindings"})
_EVERYTHING = (rule("*", "*", "*"), path_rule("*", "*"))
_OF_THE_COLLECTOR = frozenset({"ownerReferences", "finalizers", "managedFields", "resourceVersion"})


class EscalationCheck(Plugin):
    """`authorizer` answers for the verbs, `rbac` knows the rules."""

    def __init__(self, authorizer: Authorizer, rbac: RbacAuthorizer) -> None:
        self._authorizer = authorizer
        self._rbac = rbac

    async def mutate(self, attributes: Write) -> None:
        if attributes.info.group != GROUP or attributes.obj is None or attributes.operation not in ("CREATE", "UPDATE"):
            return
        if SYSTEM_MASTERS in attributes.user.groups or _only_for_the_collector(attributes):
            return
        if attributes.info.plural in _ROLES:
            await self._check_role(attributes, attributes.obj)
        elif attributes.info.plural in _BINDINGS:
            await self._check_binding(attributes, attributes.obj)

    async def _check_role(self, attributes: Write, role: Obj) -> None:
        if await self._may("escalate", attributes, attributes.info.plural, attributes.name):
            return
        await self._check_rules(attributes, [from_wire(one) for one in role.get("rules") or ()])
        if role.get("aggregationRule") or (attributes.old or {}).get("aggregationRule"):
            owned = await self._rbac.rights_of(attributes.user, attributes.namespace)
            if missing(owned.rules, _EVERYTHING):
                raise attributes.refuse("must have cluster-admin privileges to use the aggregationRule")

    async def _check_binding(self, attributes: Write, binding: Obj) -> None:
        reference = binding.get("roleRef") or {}
        kind, name = reference.get("kind", ""), reference.get("name", "")
        plural = {"Role": "roles", "ClusterRole": "clusterroles"}.get(kind, "")
        if not plural or (kind == "Role" and not attributes.namespace):
            return  # validation says what is wrong with it
        if await self._may("bind", attributes, plural, name):
            return
        rules = await self._rbac.rules_of_role(kind, attributes.namespace, name)
        if rules is None:
            raise not_found(GROUP, plural, name)
        await self._check_rules(attributes, rules)

    async def _may(self, verb: str, attributes: Write, plural: str, name: str) -> bool:
        namespace = attributes.namespace
        info = RequestInfo(
            "", verb, is_resource=True, group=GROUP, version="v1", namespace=namespace, resource=plural, name=name
        )
        decision, _ = await self._authorizer.authorize(Attributes(attributes.user, info))
        return decision is Decision.ALLOW

    async def _check_rules(self, attributes: Write, wanted: Sequence[Rule]) -> None:
        user = attributes.user
        owned = await self._rbac.rights_of(user, attributes.namespace)
        lacking = missing(owned.rules, wanted)
        if lacking:
            lines = "\n".join(sorted({str(one) for one in compact(lacking)}))
            text = (
                f'user "{user.name}" (groups={quoted(user.groups)}) is attempting to grant RBAC permissions not '
                f"currently held:\n{lines}"
            )
            raise attributes.refuse(text + (f"; resolution errors: {owned.error}" if owned.error else ""))


def _only_for_the_collector(attributes: Write) -> bool:
    """An update that changes nothing but owners and finalizers: deletion must not need rights over the content."""
    if attributes.old is None or attributes.obj is None:
        return False
    return _without(attributes.obj) == _without(attributes.old)


def _without(obj: Obj) -> Obj:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _OF_THE_COLLECTOR}
    return {**obj, "metadata": metadata}
