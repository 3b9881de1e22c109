"""Expressions of webhooks and policies, run on a write: their variables' values, and questions to the authorizer.

What must stay true: what an expression sees are copies or plain data, and one write's expressions share one set of
values and one set of answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiserver.admission import Attributes, Obj
from apiserver.authorization import Attributes as Question
from apiserver.authorization import Authorizer, Decision
from apiserver.request import User
from apiserver.requestinfo import RequestInfo
from tiphys.api.admissionregistration.expressions import BOOL, CONDITION, compiled
from tiphys.api.customresource.cel.engine import CompileError, EvaluationError, Expression, available

_ROUNDS = 32  # questions to the authorizer in one expression


def _answers() -> Any:
    from tiphys.api.customresource.cel.admission import Answers

    return Answers()


class Runner:
    """Runs expressions about one write; `values` are the variables."""

    def __init__(self, attributes: Attributes, authorizer: Authorizer, values: dict[str, Any]) -> None:
        self._attributes = attributes
        self._authorizer = authorizer
        self.values = values
        # Without the extra nothing compiles, so nothing asks.
        self._answers = _answers() if available() else None
        values["authorizer"] = _authorizer_value(attributes)

    def having(self, **more: Any) -> Runner:
        """The same write with other values of some variables; answers are shared."""
        runner = Runner.__new__(Runner)
        runner._attributes, runner._authorizer, runner._answers = self._attributes, self._authorizer, self._answers
        runner.values = {**self.values, **more}
        return runner

    async def run(self, expression: Expression) -> Any:
        """Raises EvaluationError."""
        answers = self._answers
        assert answers is not None
        for _ in range(_ROUNDS):
            answers.missing.clear()
            try:
                with answers.used():
                    found = expression.run(self.values)
            except EvaluationError:
                if not answers.missing:
                    raise
            else:
                if not answers.missing:
                    return found
            for question in list(answers.missing):
                answers.known[question] = await self._ask(json.loads(question))
        raise EvaluationError("too many questions to the authorizer")

    async def _ask(self, question: Obj) -> tuple[bool, str]:
        user = self._attributes.user
        account = question.get("serviceAccount")
        if account:
            namespace, name = account
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
            user = User(f"system:serviceaccount:{namespace}:{name}", groups)
        if "path" in question:
            info = RequestInfo(question["path"], question["verb"])
        else:
            info = RequestInfo(
                "",
                question["verb"],
                is_resource=True,
                group=question.get("group", ""),
                version="*",
                namespace=question.get("namespace", ""),
                resource=question.get("resource", ""),
                subresource=question.get("subresource", ""),
                name=question.get("name", ""),
            )
        decision, reason = await self._authorizer.authorize(Question(user, info))
        return decision is Decision.ALLOW, reason


def _authorizer_value(attributes: Attributes) -> Obj:
    own = {
        "group": attributes.info.group,
        "resource": attributes.info.plural,
        "subresource": attributes.subresource,
        "namespace": attributes.namespace,
        "name": attributes.name,
    }
    return {"requestResource": own}


@dataclass(frozen=True, slots=True)
class _Condition:
    name: str
    text: str
    expression: Expression | None
    failure: str


class Conditions:
    """matchConditions: all must hold."""

    def __init__(
        self, conditions: Sequence[Mapping[str, Any]], *, ignores_failure: bool, names: tuple[str, ...] = CONDITION
    ) -> None:
        self._ignores_failure = ignores_failure
        self._conditions = [_condition(one, names) for one in conditions]

    def __bool__(self) -> bool:
        return bool(self._conditions)

    async def hold(self, runner: Runner) -> bool:
        """Raises ConditionError where that cannot be said and failures are not ignored."""
        errors: list[str] = []
        for one in self._conditions:
            try:
                if one.expression is None:
                    raise EvaluationError(one.failure)
                if await runner.run(one.expression) is not True:
                    return False
            except EvaluationError as error:
                errors.append(f"expression '{one.text}' resulted in error: {error}")
        if errors and not self._ignores_failure:
            raise ConditionError(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
        return not errors


class ConditionError(Exception):
    """A condition could not be evaluated."""


def _condition(condition: Mapping[str, Any], names: tuple[str, ...]) -> _Condition:
    text = str(condition.get("expression", ""))
    try:
        return _Condition(str(condition.get("name", "")), text, compiled(text, names, BOOL), "")
    except CompileError as error:
        return _Condition(str(condition.get("name", "")), text, None, str(error))
