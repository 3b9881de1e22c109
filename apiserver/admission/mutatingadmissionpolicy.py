"""MutatingAdmissionPolicy: expressions in the cluster that change what is written.

What must stay true: each mutation sees what the ones before it made; a policy that asked for it runs once more when
something changed after it, and only once.
"""

from __future__ import annotations

import copy

import orjson

from apiserver.admission import Attributes, Obj, Plugin
from apiserver.admission.description import shown, take_back
from apiserver.admission.expressions import ConditionError
from apiserver.admission.finishing import finish
from apiserver.admission.matching import is_exempt
from apiserver.admission.policy.definitions import Binding, Mutation, Policies, Policy
from apiserver.admission.policy.evaluation import Evaluation, Ground
from apiserver.admission.policy.parameters import ConfigurationError, parameters
from tiphys.api.apply.merge import merge
from tiphys.api.customresource.cel.engine import EvaluationError
from tiphys.api.kinds import KindInfo
from tiphys.api.patch_json import json_patch, load_json_patch
from tiphys.api.status import StatusError

_NOTE = "mutating policies"
_FIXED = ("apiVersion", "kind")


class _Failed(Exception):
    """A mutation could not be made."""


class _Round:
    """What is remembered between the two rounds of one write."""

    def __init__(self) -> None:
        self.again: set[str] = set()
        self.run: set[str] = set()
        self.left: Obj | None = None


class MutatingAdmissionPolicy(Plugin):
    configured = True

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._policies = Policies(ground.resources.cache, "mutating")

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.obj is None or attributes.operation == "CONNECT":
            return
        bound = self._policies.bound()
        if not bound or is_exempt(attributes):
            return
        memory: _Round = attributes.notes.setdefault(_NOTE, _Round())
        if attributes.again and memory.left is not None and memory.left != attributes.obj:
            memory.again |= memory.run
        for policy, bindings in bound:
            if attributes.again and policy.name not in memory.again:
                continue
            wanted = policy.match.find(attributes, self._ground.resources)
            if wanted is None:
                continue
            changed = False
            for binding in bindings:
                match = binding.match
                if match is None or match.find(attributes, self._ground.resources, any_rule=True) is not None:
                    changed |= await self._apply(policy, binding, attributes, wanted)
            if not attributes.again:
                if changed:
                    memory.again |= memory.run
                    attributes.reinvoke = True
                if policy.reinvoked:
                    memory.run.add(policy.name)
        if memory.run:
            memory.left = copy.deepcopy(attributes.obj)

    async def _apply(self, policy: Policy, binding: Binding, attributes: Attributes, wanted: KindInfo) -> bool:
        """Whether the object is another one now.  Raises StatusError."""
        changed = False
        try:
            for one in parameters(policy, binding, attributes, self._ground.resources):
                if not await (await self._evaluation(policy, attributes, wanted, one)).applies():
                    continue
                for mutation in policy.mutations:
                    changed |= await self._mutate(policy, mutation, attributes, wanted, one)
        except (ConfigurationError, ConditionError, EvaluationError, _Failed) as error:
            if not policy.ignores_failure:
                text = f"policy '{policy.name}' with binding '{binding.name}' denied request: {error}"
                refused = attributes.refuse(text)
                details: Obj = {**(refused.details or {}), "causes": [{"message": text}]}
                raise StatusError(422, "Invalid", refused.message, details=details) from None
        return changed

    async def _evaluation(
        self, policy: Policy, attributes: Attributes, wanted: KindInfo, params: Obj | None
    ) -> Evaluation:
        return Evaluation(policy, await self._ground.runner(attributes, wanted), params)

    async def _mutate(
        self, policy: Policy, mutation: Mutation, attributes: Attributes, wanted: KindInfo, params: Obj | None
    ) -> bool:
        # A mutation sees what the one before it made: the values are read again.
        found = await (await self._evaluation(policy, attributes, wanted, params)).value(mutation.formula)
        before = copy.deepcopy(await shown(attributes, attributes.obj, wanted, self._ground.resources))
        assert before is not None
        try:
            value = orjson.loads(orjson.dumps(found))
            new = _patched(before, value) if mutation.kind == "JSONPatch" else _merged(before, value, wanted)
            return finish(attributes, await take_back(attributes, new, wanted, self._ground.resources))
        except TypeError:
            raise _Failed("the expression's value cannot be part of an object") from None
        except StatusError as error:
            raise _Failed(error.message) from None


def _patched(obj: Obj, value: object) -> Obj:
    if not isinstance(value, list):
        raise _Failed("must evaluate to a list of JSONPatch")
    operations, _ = load_json_patch(orjson.dumps(value), strict=False)
    found = json_patch(obj, operations)
    if not isinstance(found, dict):
        raise _Failed("the patched object is not an object")
    return found


def _merged(obj: Obj, value: object, wanted: KindInfo) -> Obj:
    if not isinstance(value, dict):
        raise _Failed("must evaluate to Object")
    for name in _FIXED:
        if value.get(name, obj.get(name)) != obj.get(name):
            raise _Failed(f"{name} must not be changed")
    found: Obj = merge(obj, value, wanted.schema)
    return found
