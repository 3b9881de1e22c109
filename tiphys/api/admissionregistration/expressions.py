"""The expressions of webhooks and policies: which variables they may name, compiled once, and mutations as plain maps.

`Object{spec: Object.spec{replicas: 3}}` and `JSONPatch{op: "add", ...}` name types that stand for whatever kind is
mutated.  We read them as the maps they write: `{"spec": {"replicas": 3}}`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from tiphys.api.customresource.cel.cost import tokens_of
from tiphys.api.customresource.cel.engine import CompileError, Expression
from tiphys.api.status import FieldError, invalid

CONDITION = ("object", "oldObject", "request", "authorizer")
POLICY = (*CONDITION, "params", "namespaceObject", "variables")
BOOL, TEXT, ANYTHING = ("BOOL",), ("STRING",), ()
NULLABLE_TEXT = ("STRING", "NULL")

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*\Z")
_TYPES = frozenset({"Object", "JSONPatch"})
_ESCAPED = {"__underscores__": "__", "__dot__": ".", "__dash__": "-", "__slash__": "/"}
_ESCAPE = re.compile("|".join(_ESCAPED))


@lru_cache(maxsize=4096)
def compiled(text: str, variables: tuple[str, ...], wanted: tuple[str, ...]) -> Expression:
    """Raises CompileError."""
    return Expression(text, variables, wanted)


def mutation(text: str) -> Expression:
    """The expression of a mutation.  Raises CompileError."""
    return compiled(as_maps(text), POLICY, ANYTHING)


def compile_errors(path: str, text: str, variables: tuple[str, ...], wanted: tuple[str, ...]) -> list[FieldError]:
    """What is wrong with an expression that is there at all."""
    if not text.strip():
        return []
    try:
        compiled(text, variables, wanted)
    except CompileError as error:
        return [invalid(path, text, str(error))]
    return []


def mutation_errors(path: str, text: str) -> list[FieldError]:
    if not text.strip():
        return []
    try:
        mutation(text)
    except CompileError as error:
        return [invalid(path, text, str(error))]
    return []


def variables_used(text: str) -> list[str]:
    """The names behind `variables.` in an expression, in order."""
    tokens = tokens_of(text)
    found = [
        tokens[at + 2]
        for at in range(len(tokens) - 2)
        if tokens[at] == "variables" and tokens[at + 1] == "." and (at == 0 or tokens[at - 1] != ".")
    ]
    return list(dict.fromkeys(found))


def as_maps(text: str) -> str:
    """The expression with its `Object...{}` and `JSONPatch{}` values written as maps."""
    if not any(name in text for name in _TYPES):
        return text
    return "".join(_rewritten(tokens_of(text)))


def _rewritten(tokens: Sequence[str]) -> list[str]:
    out: list[str] = []
    open_values: list[bool] = []  # for each open bracket: is it one of our values
    at = 0
    while at < len(tokens):
        token = tokens[at]
        end = _type_name_end(tokens, at)
        if end:
            out.append("{")
            open_values.append(True)
            at = end + 1
            continue
        if token in ("{", "(", "["):
            open_values.append(False)
        elif token in ("}", ")", "]") and open_values:
            open_values.pop()
        follows_key = at + 1 < len(tokens) and tokens[at + 1] == ":"
        if open_values and open_values[-1] and follows_key and _IDENTIFIER.match(token) and _starts_member(tokens, at):
            out.append(f'"{_unescaped(token)}"')
        else:
            out.append(token if token in ".{}()[],:?" else f" {token} ")
        at += 1
    return out


def _type_name_end(tokens: Sequence[str], at: int) -> int:
    """Where the bracket of `Object.a.b{` opens, 0 where no such name starts here."""
    if tokens[at] not in _TYPES or (at and tokens[at - 1] == "."):
        return 0
    end = at + 1
    while end + 1 < len(tokens) and tokens[end] == "." and _IDENTIFIER.match(tokens[end + 1]):
        end += 2
    return end if end < len(tokens) and tokens[end] == "{" else 0


def _starts_member(tokens: Sequence[str], at: int) -> bool:
    before = tokens[at - 1] if tokens[at - 1] != "?" else tokens[at - 2]
    return before in ("{", ",")


def _unescaped(name: str) -> str:
    """`__namespace__` is the field namespace, a word the language keeps for itself."""
    plain = _ESCAPE.sub(lambda match: _ESCAPED[match[0]], name)
    if len(plain) > 4 and plain.startswith("__") and plain.endswith("__"):
        return plain[2:-2]
    return plain
