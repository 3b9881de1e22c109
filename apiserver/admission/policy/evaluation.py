"""One policy run on one write with one set of parameters: its variables, found when they are first needed.

What must stay true: a variable that fails hurts only the expressions that use it, and the error says which it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apiserver.admission import Attributes, Obj
from apiserver.admission.description import describe, shown
from apiserver.admission.expressions import Runner
from apiserver.admission.policy.definitions import Formula, Policy
from apiserver.authorization import Authorizer
from apiserver.resources import Resources
from tiphys.api.customresource.cel.engine import EvaluationError
from tiphys.api.kinds import KindInfo

MESSAGE_LIMIT_BYTES = 5 * 1024


@dataclass(frozen=True, slots=True)
class Ground:
    """What policies need of the server."""

    resources: Resources
    authorizer: Authorizer

    async def runner(self, attributes: Attributes, wanted: KindInfo) -> Runner:
        """The variables that all policies share, of the write as it is now."""
        namespace: Obj | None = None
        if attributes.namespace:
            store = self.resources.named("", "namespaces")
            namespace = store.peek("", attributes.namespace) if store is not None else None
        values: dict[str, Any] = {
            "object": await shown(attributes, attributes.obj, wanted, self.resources),
            "oldObject": await shown(attributes, attributes.old, wanted, self.resources),
            "request": describe(attributes, wanted),
            "namespaceObject": namespace,
            "params": None,
            "variables": {},
        }
        return Runner(attributes, self.authorizer, values)


class Evaluation:
    def __init__(self, policy: Policy, runner: Runner, params: Obj | None) -> None:
        self._policy = policy
        self._variables: dict[str, Any] = {}
        self._failed: dict[str, str] = {}
        self._runner = runner.having(params=params, variables=self._variables)

    async def applies(self) -> bool:
        """Whether the policy's conditions hold.  Raises ConditionError."""
        if not self._policy.conditions:
            return True
        for name in self._policy.conditions_use:
            await self._resolve(name)
        return await self._policy.conditions.hold(self._runner)

    async def value(self, formula: Formula) -> Any:
        """Raises EvaluationError with upstream's sentence around the reason."""
        try:
            return await self._run(formula)
        except EvaluationError as error:
            raise EvaluationError(f"expression '{formula.text}' resulted in error: {error}") from None

    async def message(self, formula: Formula | None) -> str:
        """What a messageExpression says; "" where it says nothing that can be used."""
        if formula is None:
            return ""
        try:
            said = await self._run(formula)
        except EvaluationError:
            return ""
        text = said.strip() if isinstance(said, str) else ""
        return text if "\n" not in text and len(text.encode()) <= MESSAGE_LIMIT_BYTES else ""

    async def _run(self, formula: Formula) -> Any:
        for name in formula.variables:
            await self._resolve(name)
        if formula.expression is None:
            raise EvaluationError(formula.failure)
        try:
            return await self._runner.run(formula.expression)
        except EvaluationError as error:
            for name in formula.variables:
                if name in self._failed and f"no such key: {name}" in str(error):
                    text = f'composited variable "{name}" fails to evaluate: {self._failed[name]}'
                    raise EvaluationError(text) from None
            raise

    async def _resolve(self, name: str) -> None:
        formula = self._policy.variables.get(name)
        if formula is None or name in self._variables or name in self._failed:
            return
        self._failed[name] = "it refers to itself"  # until it is found
        try:
            found = await self._run(formula)
        except EvaluationError as error:
            self._failed[name] = str(error)
            return
        del self._failed[name]
        self._variables[name] = found
