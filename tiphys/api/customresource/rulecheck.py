"""Whether the rules of a schema can be taken: they compile against its types, say what they must, and cost little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tiphys.api.customresource.cel import engine
from tiphys.api.customresource.cel.cost import RULE_LIMIT, TOTAL_LIMIT, estimate, size_of, uses
from tiphys.api.customresource.cel.types import Messages
from tiphys.api.customresource.structural import LIST_TYPE, MAP_TYPE, VALIDATIONS, Structural
from tiphys.api.status import FieldError, forbidden_field, invalid, not_supported, required

REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
MESSAGE_LIMIT = 2048
TRY = "try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared"  # fmt: skip  # noqa: E501


def rule_errors(root: Structural, path: str) -> list[FieldError]:
    places = list(_places(root, path, 1, True))
    if not places:
        return []
    if not engine.available():
        return [forbidden_field(f"{where}.{VALIDATIONS}", engine.MISSING) for _, where, _, _ in places]
    messages = Messages(root)
    errors: list[FieldError] = []
    total = 0
    for node, where, times, comparable in places:
        checker = engine.Checker(messages.pool, messages.signature(node))
        for index, rule in enumerate(node.text.get(VALIDATIONS) or ()):
            at = f"{where}.{VALIDATIONS}[{index}]"
            errors += _rule(rule, node, checker, at, comparable=comparable)
            cost = estimate(str(rule.get("rule", "")), node) * times
            total += cost
            if cost > RULE_LIMIT:
                errors.append(
                    forbidden_field(f"{at}.rule", f"estimated rule cost exceeds budget by {_over(cost)} ({TRY})")
                )
    if total > TOTAL_LIMIT and not errors:
        over = _over(total, TOTAL_LIMIT)
        text = (
            f"x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by {over}"
        )
        errors.append(forbidden_field(path, f"{text} ({TRY})"))
    return errors


def _over(cost: int, limit: int = RULE_LIMIT) -> str:
    factor = cost / limit
    return "factor of more than 100x" if factor > 100 else f"factor of {factor:.1f}x"


Place = tuple[Structural, str, int, bool]
"""(schema, path, how often a value can be there, whether old and new values there can be told)"""


def _places(node: Structural, path: str, times: int, comparable: bool) -> Iterator[Place]:
    if node.text.get(VALIDATIONS):
        yield node, path, times, comparable
    fixed = comparable and node.text.get(MAP_TYPE) != "atomic"
    for name, below in node.properties.items():
        yield from _places(below, f"{path}.properties[{name}]", times, fixed)
    inner = min(times * max(1, size_of(node)), TOTAL_LIMIT * 100)
    if node.items is not None:
        keyed = comparable and node.text.get(LIST_TYPE) == "map"
        yield from _places(node.items, f"{path}.items", inner, keyed)
    if node.additional is not None:
        yield from _places(node.additional, f"{path}.additionalProperties", inner, fixed)


def _rule(
    rule: Mapping[str, Any], node: Structural, checker: engine.Checker, path: str, *, comparable: bool
) -> Iterator[FieldError]:
    expression, optional_old = str(rule.get("rule") or ""), bool(rule.get("optionalOldSelf"))
    yield from _texts(rule, path)
    if not expression.strip():
        yield required(f"{path}.rule", "rule is not specified")
        return
    old = uses(expression, "oldSelf")
    if old and not comparable:
        text = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {path.rpartition('.')[0]}"
        yield invalid(f"{path}.rule", expression, text)
        return
    if optional_old and not old:
        yield invalid(f"{path}.optionalOldSelf", True, "may not be set if oldSelf is not used in rule")
    try:
        checker.check(expression, "BOOL", optional_old=optional_old)
    except engine.CompileError as error:
        yield invalid(f"{path}.rule", expression, str(error))
    said = str(rule.get("messageExpression") or "")
    if said:
        try:
            checker.check(said, "STRING", optional_old=optional_old)
        except engine.CompileError as error:
            yield invalid(f"{path}.messageExpression", said, f"messageExpression {error}")
    if rule.get("fieldPath"):
        yield from _field_path(str(rule["fieldPath"]).strip(), node, f"{path}.fieldPath")


def _texts(rule: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    message, expression = str(rule.get("message") or ""), str(rule.get("rule") or "")
    if message and not message.strip():
        yield invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif "\n" in message.strip():
        yield invalid(f"{path}.message", message, "message must not contain line breaks")
    elif "\n" in expression.strip() and not message and not rule.get("messageExpression"):
        yield required(f"{path}.message", "message must be specified if rule contains line breaks")
    if len(message) > MESSAGE_LIMIT:
        shown = message[:MESSAGE_LIMIT]
        yield invalid(f"{path}.message", shown, f"message must have a maximum length of {MESSAGE_LIMIT} characters")
    reason = rule.get("reason")
    if reason is not None and reason not in REASONS:
        yield not_supported(f"{path}.reason", reason, REASONS)


def _field_path(text: str, node: Structural, path: str) -> Iterator[FieldError]:
    problem = _unknown_field(text, node)
    if problem:
        yield invalid(path, text, f"fieldPath must be a valid path: {problem}")


def _unknown_field(text: str, node: Structural | None) -> str:
    for name in _names(text):
        if name is None:
            return "expected [ or . but got: " + text
        node = node.member(name) if node is not None else None
        if node is None:
            return "does not refer to a valid field"
    return ""


def _names(text: str) -> Sequence[str | None]:
    """.spec['my key'].x as names; a None for what cannot be read."""
    names: list[str | None] = []
    at = 0
    while at < len(text):
        if text[at] == ".":
            end = min(
                (place for place in (text.find(".", at + 1), text.find("[", at + 1)) if place > 0), default=len(text)
            )
            names.append(text[at + 1 : end] or None)
            at = end
        elif text.startswith("['", at) and (end := text.find("']", at)) > 0:
            names.append(text[at + 2 : end])
            at = end + 2
        else:
            return [None]
    return names
