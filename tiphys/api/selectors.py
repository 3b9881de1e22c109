"""Label and field selectors.

A parsed label selector is a tuple of requirements, all of which must hold; the grammar and the messages are those of
apimachinery pkg/labels.  Selectors are bounded in length, so a hostile one costs at most a linear scan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tiphys.api.names import is_label_value, is_qualified_name

MAX_BYTES = 64 * 1024


class SelectorError(ValueError):
    """The text or object is not a selector; the message is upstream's."""


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    operator: str  # In, NotIn, Exists, DoesNotExist, Gt, Lt
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        present = self.key in labels
        match self.operator:
            case "In":
                return present and labels[self.key] in self.values
            case "NotIn":
                return not present or labels[self.key] not in self.values
            case "Exists":
                return present
            case "DoesNotExist":
                return not present
            case _:
                return present and self._compare(labels[self.key])

    def _compare(self, text: str) -> bool:
        try:
            mine, bound = int(text), int(next(iter(self.values)))
        except ValueError:
            return False
        return mine > bound if self.operator == "Gt" else mine < bound

    def __str__(self) -> str:
        values = sorted(self.values)
        match self.operator:
            case "In":
                return f"{self.key}={values[0]}" if len(values) == 1 else f"{self.key} in ({','.join(values)})"
            case "NotIn":
                return f"{self.key}!={values[0]}" if len(values) == 1 else f"{self.key} notin ({','.join(values)})"
            case "Exists":
                return self.key
            case "DoesNotExist":
                return f"!{self.key}"
            case _:
                return f"{self.key}{'>' if self.operator == 'Gt' else '<'}{values[0]}"


@dataclass(frozen=True, slots=True)
class LabelSelectorExpr:
    """`nothing` selects no object; without requirements every object is selected."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        return not self.nothing and all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = LabelSelectorExpr()
NOTHING = LabelSelectorExpr(nothing=True)

_TOKEN = re.compile(r"\s*(?:(==|!=|=|!|,|\(|\)|>|<)|([^\s=!,()<>]+))", re.ASCII)


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise SelectorError(f"unable to parse requirement: found '{text[position:][:20]}'")
        tokens.append(match[1] or match[2])
        position = match.end()
    return tokens


_SYMBOLS = {"=", "==", "!=", "!", ",", "(", ")", ">", "<"}


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.position = 0

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.position += 1
        return token

    def parse(self) -> LabelSelectorExpr:
        requirements = []
        while self.peek():
            requirements.append(self.requirement())
            separator = self.take()
            if separator == "":
                break
            if separator != ",":
                raise SelectorError(f"found '{separator}', expected: ',' or 'end of string'")
            if not self.peek() or self.peek() == ",":
                raise SelectorError(f"found '{self.peek()}', expected: identifier after ','")
        return LabelSelectorExpr(tuple(sorted(requirements, key=lambda item: item.key)))

    def requirement(self) -> Requirement:
        negated = self.peek() == "!"
        if negated:
            self.take()
        key = self.take()
        if not key or key in _SYMBOLS:
            raise SelectorError(f"unable to parse requirement: found '{key}', expected: identifier")
        check_key(key)
        if negated:
            return Requirement(key, "DoesNotExist")
        operator = self.peek()
        if operator in ("", ","):
            return Requirement(key, "Exists")
        self.take()
        if operator in ("=", "==", "!="):
            value = "" if self.peek() in ("", ",") else self.take()
            if value in _SYMBOLS:
                raise SelectorError(f"unable to parse requirement: found '{value}', expected: identifier")
            return Requirement(key, "NotIn" if operator == "!=" else "In", self.checked(key, [value]))
        if operator in (">", "<"):
            value = self.take()
            if not re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
                raise SelectorError(
                    f'values[0][{key}]: Invalid value: "{value}": '
                    "for 'Gt', 'Lt' operators, the value must be an integer"
                )
            return Requirement(key, "Gt" if operator == ">" else "Lt", frozenset([value]))
        if operator in ("in", "notin"):
            return Requirement(key, "In" if operator == "in" else "NotIn", self.checked(key, self.value_set()))
        raise SelectorError(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt")

    def value_set(self) -> list[str]:
        opening = self.take()
        if opening != "(":
            raise SelectorError(f"unable to parse requirement: found '{opening}', expected: '('")
        values: list[str] = []
        expecting_value = True
        while True:
            token = self.take()
            if token == "":
                raise SelectorError("unable to parse requirement: found '', expected: ',' or ')'")
            if token == ")":
                if expecting_value:
                    values.append("")
                return values
            if token == ",":
                if expecting_value:
                    values.append("")
                expecting_value = True
                continue
            if token in _SYMBOLS:
                raise SelectorError(f"unable to parse requirement: found '{token}', expected: ',', ')' or identifier")
            values.append(token)
            expecting_value = False

    @staticmethod
    def checked(key: str, values: Sequence[str]) -> frozenset[str]:
        for index, value in enumerate(values):
            for message in is_label_value(value):
                where = f"values[{index}][{key}]"
                raise SelectorError(f'unable to parse requirement: {where}: Invalid value: "{value}": {message}')
        return frozenset(values)


def check_key(key: str) -> None:
    for message in is_qualified_name(key):
        raise SelectorError(f'unable to parse requirement: key: Invalid value: "{key}": {message}')


def parse_label_selector(text: str) -> LabelSelectorExpr:
    """Parse `a=b,c in (d,e),!f`.  The empty text selects everything.  Raises SelectorError."""
    if len(text) > MAX_BYTES:
        raise SelectorError(f"a selector may not be longer than {MAX_BYTES} bytes")
    return _Parser(text).parse()


class _LabelSelectorModel(Protocol):
    def to_dict(self) -> dict[str, Any]: ...


def from_label_selector(selector: _LabelSelectorModel | Mapping[str, Any] | None) -> LabelSelectorExpr:
    """A metav1.LabelSelector (model or wire dict) as an expression: None selects nothing, {} everything."""
    if selector is None:
        return NOTHING
    wire = selector if isinstance(selector, Mapping) else selector.to_dict()
    requirements = [
        Requirement(key, "In", frozenset([value])) for key, value in (wire.get("matchLabels") or {}).items()
    ]
    for expression in wire.get("matchExpressions") or []:
        operator, values = expression.get("operator", ""), expression.get("values") or []
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            raise SelectorError(f'"{operator}" is not a valid label selector operator')
        requirements.append(Requirement(expression["key"], operator, frozenset(values)))
    return LabelSelectorExpr(tuple(sorted(requirements, key=lambda item: item.key)))


_FIELD_TERM = re.compile(r"^(.*?)(==|!=|=)(.*)$", re.DOTALL)
_UNESCAPED_COMMA = re.compile(r"(?<!\\),")


def parse_field_selector(text: str) -> list[tuple[str, str, str]]:
    """(path, "=" or "!=", value) for each term of `spec.nodeName=n1,status.phase!=Running`.  Raises SelectorError."""
    if len(text) > MAX_BYTES:
        raise SelectorError(f"a selector may not be longer than {MAX_BYTES} bytes")
    terms = []
    for part in _UNESCAPED_COMMA.split(text):
        if not part:
            continue  # upstream passes over empty terms, and clients send them
        match = _FIELD_TERM.match(part)
        if match is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        value = re.sub(r"\\([\\,=])", r"\1", match[3])
        terms.append((match[1], "!=" if match[2] == "!=" else "=", value))
    return terms
