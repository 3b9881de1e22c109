"""x-kubernetes-validations: the rules of a schema, compiled once and run on every write.

A rule that names oldSelf runs only where there is an old value to compare with, unless it says optionalOldSelf.  A rule
that does not is passed over where nothing has changed.  Rules run after the schema's other checks, on values of the
right types.

What must stay true: a set of rules that cannot be compiled refuses every object; the work for one object is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiphys.api.customresource.cel import engine
from tiphys.api.customresource.cel.cost import depth_of, nodes_in, uses
from tiphys.api.customresource.cel.types import converter
from tiphys.api.customresource.structural import ABSENT, LIST_MAP_KEYS, LIST_TYPE, MAP_TYPE, VALIDATIONS, Structural
from tiphys.api.status import FieldError, forbidden_field, invalid, required, show

Errors = list[FieldError]

BUDGET = 10_000_000  # steps for all rules of one object
_STEPS_PER_RUN = 10_000  # the library stops a rule there
MESSAGE_LIMIT = 5 * 1024
ROOT = "<nil>"  # how upstream names the object itself
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


class Rule:
    def __init__(self, text: Mapping[str, Any]) -> None:
        """Raises engine.CompileError."""
        self.text = text
        expression = str(text.get("rule", ""))
        self.optional_old = bool(text.get("optionalOldSelf"))
        self.uses_old = self.optional_old or uses(expression, "oldSelf")
        self.program = engine.Program(expression, optional_old=self.optional_old)
        said = str(text.get("messageExpression") or "")
        self.message = engine.Program(said, optional_old=self.optional_old) if said else None
        self.depth = depth_of(expression)

    @property
    def shown(self) -> str:
        """How failures name the rule."""
        return str(self.text.get("message") or self.text.get("rule", "")).strip()

    @property
    def default_message(self) -> str:
        return self.shown if self.text.get("message") else f"failed rule: {self.shown}"


class Budget:
    def __init__(self, steps: int = BUDGET) -> None:
        self.left = steps

    def spend(self, rule: Rule, value: Any) -> None:
        if rule.depth:
            size = nodes_in(value, _STEPS_PER_RUN)
            self.left -= min(_STEPS_PER_RUN, size ** min(rule.depth, 3))
        self.left -= 1


class Rules:
    """The rules at one place of a schema and below it."""

    def __init__(self, node: Structural) -> None:
        self._node = node
        self._failure = ""
        self._rules: list[Rule] = []
        try:
            self._rules = [Rule(text) for text in node.text.get(VALIDATIONS) or ()] if engine.available() else []
        except engine.CompileError as error:
            self._failure = str(error)
        if node.text.get(VALIDATIONS) and not engine.available():
            self._failure = engine.MISSING
        self._convert = converter(node)
        self._members = _some({name: Rules.of(below) for name, below in node.properties.items()})
        self._items = Rules.of(node.items) if node.items is not None else None
        self._values = Rules.of(node.additional) if node.additional is not None else None

    @classmethod
    def of(cls, node: Structural) -> Rules | None:
        """None where there are no rules at all."""
        return cls(node) if _has_rules(node) else None

    def check(self, value: Any, old: Any) -> Errors:
        """`old` is None on a create."""
        budget = Budget()
        return list(self._check(value, ABSENT if old is None else old, ROOT, budget))

    def _check(self, value: Any, old: Any, path: str, budget: Budget) -> Iterator[FieldError]:
        if value is None or budget.left < 0:
            return
        yield from self._run_all(value, old, path, budget)
        if budget.left < 0:
            return
        if isinstance(value, dict):
            yield from self._check_object(value, old, path, budget)
        elif isinstance(value, list) and self._items is not None:
            before = self._old_items(old)
            for index, item in enumerate(value):
                found = before.get(_key(item, self._keys), ABSENT) if before else ABSENT
                yield from self._items._check(item, found, f"{path}[{index}]", budget)

    @property
    def _keys(self) -> list[str]:
        return self._node.text.get(LIST_MAP_KEYS) or []

    def _check_object(self, value: dict[str, Any], old: Any, path: str, budget: Budget) -> Iterator[FieldError]:
        comparable = isinstance(old, dict) and self._node.text.get(MAP_TYPE) != "atomic"
        for name, item in value.items():
            before = old.get(name, ABSENT) if comparable else ABSENT
            if name in self._members:
                yield from self._members[name]._check(item, before, f"{path}.{name}" if path != ROOT else name, budget)
            elif self._values is not None and name not in self._node.properties:
                yield from self._values._check(item, before, f"{path}[{name}]", budget)

    def _old_items(self, old: Any) -> dict[Any, Any]:
        """Only the items of a keyed list can be told from one another."""
        if not isinstance(old, list) or self._node.text.get(LIST_TYPE) != "map":
            return {}
        return {_key(item, self._keys): item for item in old}

    def _run_all(self, value: Any, old: Any, path: str, budget: Budget) -> Iterator[FieldError]:
        shown = self._shown(value)
        if self._failure:
            yield invalid(path, shown, f"rule compiler initialization error: {self._failure}")
            return
        has_old = old is not ABSENT and old is not None
        unchanged = has_old and old == value
        due = [rule for rule in self._rules if (rule.uses_old or not unchanged)
               and (has_old or not rule.uses_old or rule.optional_old)]  # fmt: skip
        if not due:
            return
        convert = self._convert
        bound = convert(value) if convert is not None else value
        bound_old = None if not has_old else convert(old) if convert is not None else old
        for rule in due:
            budget.spend(rule, value)
            if budget.left < 0:
                yield invalid(path, shown, OUT_OF_BUDGET)
                return
            yield from self._run(rule, bound, bound_old, has_old, path, shown)

    def _run(self, rule: Rule, value: Any, old: Any, has_old: bool, path: str, shown: Any) -> Iterator[FieldError]:
        try:
            holds = rule.program.run(value, old, has_old=has_old)
        except engine.EvaluationError as error:
            yield invalid(path, shown, _evaluation_text(error, rule))
            return
        if holds is True:
            return
        where = path.removeprefix(ROOT) + _below(str(rule.text.get("fieldPath") or "").strip())
        yield _failure(where.removeprefix(".") or ROOT, shown, self._said(rule, value, old, has_old), rule)

    def _said(self, rule: Rule, value: Any, old: Any, has_old: bool) -> str:
        if rule.message is None:
            return rule.default_message
        try:
            said = rule.message.run(value, old, has_old=has_old)
        except engine.EvaluationError:
            return rule.default_message
        text = said.strip() if isinstance(said, str) else ""
        usable = text and "\n" not in text and len(text.encode()) <= MESSAGE_LIMIT
        return text if usable else rule.default_message

    def _shown(self, value: Any) -> Any:
        """Simple values are shown, others by their type."""
        if isinstance(value, dict | list) or value is None:
            return self._node.type or "object"
        return value


def _evaluation_text(error: engine.EvaluationError, rule: Rule) -> str:
    if error.over_budget:
        return (
            f"'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {rule.shown}"
        )
    if str(error).startswith("no such overload"):
        what = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'{error}': {what}: {rule.shown}"
    return f"{error} evaluating rule: {rule.shown}"


def _failure(path: str, value: Any, text: str, rule: Rule) -> FieldError:
    reason = rule.text.get("reason")
    if reason == "FieldValueForbidden":
        return forbidden_field(path, text)
    if reason == "FieldValueRequired":
        return required(path, text)
    if reason == "FieldValueDuplicate":
        return FieldError(path, "FieldValueDuplicate", f"Duplicate value: {show(value)}")
    return invalid(path, value, text)


def _below(field_path: str) -> str:
    """.spec['x'] as a path: .spec[x]"""
    return field_path.replace("['", "[").replace("']", "]")


def _key(item: Any, keys: list[str]) -> Any:
    return tuple(show(item.get(key)) for key in keys) if isinstance(item, dict) else None


def _some(found: Mapping[str, Rules | None]) -> dict[str, Rules]:
    return {name: one for name, one in found.items() if one is not None}


def _has_rules(node: Structural) -> bool:
    return bool(node.text.get(VALIDATIONS)) or any(_has_rules(below) for below in node.below())
