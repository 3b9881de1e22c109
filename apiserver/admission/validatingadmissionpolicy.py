"""ValidatingAdmissionPolicy: expressions in the cluster that may say no."""

from __future__ import annotations

from dataclasses import dataclass

from apiserver.admission import Attributes, Obj, Plugin
from apiserver.admission.expressions import ConditionError
from apiserver.admission.matching import is_exempt
from apiserver.admission.policy.definitions import Binding, Policies, Policy, Validation
from apiserver.admission.policy.evaluation import Evaluation, Ground
from apiserver.admission.policy.parameters import ConfigurationError, parameters
from tiphys.api.customresource.cel.engine import EvaluationError
from tiphys.api.kinds import KindInfo
from tiphys.api.status import StatusError

_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}


@dataclass(frozen=True, slots=True)
class _No:
    message: str
    reason: str = "Invalid"


class ValidatingAdmissionPolicy(Plugin):
    configured = True

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._policies = Policies(ground.resources.cache, "validating")

    async def validate(self, attributes: Attributes) -> None:
        bound = self._policies.bound()
        if not bound or is_exempt(attributes):
            return
        for policy, bindings in bound:
            wanted = policy.match.find(attributes, self._ground.resources)
            if wanted is None:
                continue
            for binding in bindings:
                if _is_bound(binding, attributes, self._ground):
                    await self._judge(policy, binding, attributes, wanted)

    async def _judge(self, policy: Policy, binding: Binding, attributes: Attributes, wanted: KindInfo) -> None:
        """Raises StatusError; warns where the binding asks for that."""
        try:
            params = parameters(policy, binding, attributes, self._ground.resources)
        except ConfigurationError as error:
            if not policy.ignores_failure:
                raise _denied(policy, binding, attributes, _No(str(error))) from None
            return
        denial: _No | None = None
        runner = await self._ground.runner(attributes, wanted)
        for one in params:
            for no in await _objections(policy, Evaluation(policy, runner, one)):
                if "Warn" in binding.actions:
                    text = f"Validation failed for ValidatingAdmissionPolicy '{policy.name}' with binding"
                    attributes.warn(f"{text} '{binding.name}': {no.message}")
                denial = denial or no
        if denial is not None and "Deny" in binding.actions:
            raise _denied(policy, binding, attributes, denial)


def _is_bound(binding: Binding, attributes: Attributes, ground: Ground) -> bool:
    return binding.match is None or binding.match.find(attributes, ground.resources, any_rule=True) is not None


async def _objections(policy: Policy, evaluation: Evaluation) -> list[_No]:
    try:
        if not await evaluation.applies():
            return []
    except ConditionError as error:
        return [_No(str(error))]
    found = []
    for validation in policy.validations:
        no = await _objection(policy, validation, evaluation)
        if no is not None:
            found.append(no)
    for _, formula in policy.annotations:
        try:
            await evaluation.value(formula)
        except EvaluationError as error:
            if not policy.ignores_failure:
                found.append(_No(str(error)))
    return found


async def _objection(policy: Policy, validation: Validation, evaluation: Evaluation) -> _No | None:
    try:
        if await evaluation.value(validation.formula) is True:
            return None
    except EvaluationError as error:
        return None if policy.ignores_failure else _No(str(error))
    said = await evaluation.message(validation.message_formula)
    return _No(said or validation.message or f"failed expression: {validation.formula.text}", validation.reason)


def _denied(policy: Policy, binding: Binding, attributes: Attributes, no: _No) -> StatusError:
    message = f"ValidatingAdmissionPolicy '{policy.name}' with binding '{binding.name}' denied request: {no.message}"
    error = attributes.refuse(message)
    details: Obj = {**(error.details or {}), "causes": [{"message": message}]}
    return StatusError(_CODES.get(no.reason, 422), no.reason, error.message, details=details)
