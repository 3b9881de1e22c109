"""What a rule may cost: an estimate from the rule's text and the limits its schema declares.

Upstream refuses rules whose estimated cost is too high: most often a rule inside a list without maxItems.  This one
is simpler and stays below upstream's, so what upstream takes is taken; what would run for seconds is refused.

The rule is read as tokens.  A macro (all, exists, map, ...) costs its body times the length of what stands before its
dot, where that is a path from self or from the variable of an outer macro; where it is anything else, once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tiphys.api.customresource.structural import Structural

RULE_LIMIT = 10_000_000
TOTAL_LIMIT = 100_000_000
REQUEST_BYTES = 3 * 1024 * 1024
_TWO_VARIABLES = frozenset({"all", "exists", "existsOne", "transformList", "transformMap", "transformMapEntry"})
MACROS = _TWO_VARIABLES | {"exists_one", "map", "filter"}
_SEARCHES = frozenset({"contains", "matches", "startsWith", "endsWith", "find", "findAll", "replace", "split"})
_TOKEN = re.compile(
    r'[rRbB]{0,2}"""(?:\\.|[^\\])*?"""|[rRbB]{0,2}\'\'\'(?:\\.|[^\\])*?\'\'\'|[rR]"[^"\n]*"|[rR]\'[^\'\n]*\''
    r'|[bB]?"(?:\\.|[^"\\\n])*"|[bB]?\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|[A-Za-z_]\w*|\d[\w.]*|\s+|.',
    re.DOTALL,
)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*\Z")


def tokens_of(expression: str) -> list[str]:
    found = _TOKEN.findall(expression)
    return [token for token in found if not token.isspace() and not token.startswith("//")]


def uses(expression: str, name: str) -> bool:
    """Whether the rule names a variable (and not a member of that name)."""
    tokens = tokens_of(expression)
    return any(token == name and (place == 0 or tokens[place - 1] != ".") for place, token in enumerate(tokens))


def depth_of(expression: str) -> int:
    """How many macros stand inside one another at most."""
    deepest, open_macros, stack, previous = 0, 0, [], ""
    for token in tokens_of(expression):
        if token == "(":
            stack.append(previous in MACROS)
            open_macros += stack[-1]
            deepest = max(deepest, open_macros)
        elif token == ")" and stack:
            open_macros -= stack.pop()
        previous = token
    return deepest


@dataclass(frozen=True, slots=True)
class Scope:
    """The schema nodes that names stand for; None where that is not known."""

    names: dict[str, Structural | None]

    def with_name(self, name: str, node: Structural | None) -> Scope:
        return Scope({**self.names, name: node})


def estimate(expression: str, node: Structural) -> int:
    """The cost of running a rule once at a place of that schema."""
    tokens = tokens_of(expression)
    return _Reader(tokens).cost(0, len(tokens), Scope({"self": node, "oldSelf": node}))


class _Reader:
    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._closing = _pairs(tokens)

    def cost(self, start: int, end: int, scope: Scope) -> int:
        total, at = 0, start
        node: Structural | None = None
        while at < end:
            token = self._tokens[at]
            if token == "." and at + 1 < end:
                name = self._tokens[at + 1]
                at += 2
                if at < end and self._tokens[at] == "?":
                    at += 1
                if at < end and self._tokens[at] == "(":
                    close = self._closing.get(at, end)
                    total += self._call(name, at, close, node, scope)
                    node = node if name == "filter" else None
                    at = close + 1
                else:
                    total += 1
                    node = node.member(name) if node is not None else None
            elif token == "[" and node is not None:
                close = self._closing.get(at, end)
                total += self.cost(at + 1, close, scope) + 1
                node = node.items if node.items is not None else node.additional
                at = close + 1
            else:
                total += _IDENTIFIER.match(token) is None and token not in "()[]{},"
                node = scope.names.get(token)
                at += 1
        return min(total, RULE_LIMIT * 1000)

    def _call(self, name: str, start: int, close: int, node: Structural | None, scope: Scope) -> int:
        if name in MACROS:
            variable = self._tokens[start + 1] if start + 1 < close else ""
            item = None
            if node is not None and node.items is not None:
                item = node.items
            inner, body = scope.with_name(variable, item), start + 3
            if name in _TWO_VARIABLES and start + 4 < close and self._tokens[start + 4] == ",":
                value = item if node is None or node.additional is None else node.additional
                inner, body = scope.with_name(variable, None).with_name(self._tokens[start + 3], value), start + 5
            return max(1, size_of(node)) * (1 + self.cost(body, close, inner))
        if name in _SEARCHES and node is not None:
            return self.cost(start + 1, close, scope) + size_of(node) // 20
        return 1 + self.cost(start + 1, close, scope)


def _pairs(tokens: Sequence[str]) -> dict[int, int]:
    """Where each bracket closes."""
    stack: list[int] = []
    pairs: dict[int, int] = {}
    for at, token in enumerate(tokens):
        if token in ("(", "[", "{"):
            stack.append(at)
        elif token in (")", "]", "}") and stack:
            pairs[stack.pop()] = at
    return pairs


def size_of(node: Structural | None) -> int:
    """How many elements a value at that place may have at most, or how long a text may be; 1 where it is not known."""
    if node is None:
        return 1
    text = node.text
    if node.type == "array":
        limit = text.get("maxItems")
        return limit if isinstance(limit, int) else REQUEST_BYTES // (least_bytes(node.items) + 1)
    if node.type == "object" and node.additional is not None:
        limit = text.get("maxProperties")
        return limit if isinstance(limit, int) else REQUEST_BYTES // (least_bytes(node.additional) + 4)
    if node.type == "string":
        limit = text.get("maxLength")
        longest = max((len(one) for one in text.get("enum") or () if isinstance(one, str)), default=None)
        return limit if isinstance(limit, int) else longest if longest is not None else REQUEST_BYTES
    return 1


def least_bytes(node: Structural | None) -> int:
    """The fewest bytes a value of that schema takes in JSON."""
    if node is None:
        return 1
    if node.type == "object":
        needed = [name for name in node.text.get("required") or () if name in node.properties]
        return 2 + sum(len(name) + 4 + least_bytes(node.properties[name]) for name in needed)
    if node.type in ("array", "string"):
        shortest = node.text.get("minLength", 0) if node.type == "string" else 0
        return 2 + (shortest if isinstance(shortest, int) else 0)
    return 4 if node.type == "boolean" else 1


def nodes_in(value: object, limit: int) -> int:
    """How many values there are in a value, itself included; `limit` where there are more."""
    count, stack = 0, [value]
    while stack and count < limit:
        one = stack.pop()
        count += 1
        if isinstance(one, dict):
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)
    return count
