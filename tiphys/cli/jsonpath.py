"""kubectl's JSONPath templates: text with {expressions}: fields, indexes, slices, *, .., filters, range and end.

Source of the grammar: the Kubernetes reference page on JSONPath support.  No user text becomes a regular expression.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from tiphys.cli.errors import CommandError

_STEP = re.compile(
    r"""\.\.(?P<deep>[\w-]+|\*)        # ..name
      | \.(?P<name>(?:\\.|[^.\[\]{}\s\\,])+)  # .name, .kubernetes\.io
      | \[(?P<index>-?\d+)\]
      | \[(?P<slice>-?\d*:-?\d*(?::-?\d+)?)\]
      | \[(?P<star>\*)\]
      | \['(?P<quoted>[^']*)'\]
      | \[\?\((?P<filter>[^()]*(?:\([^()]*\)[^()]*)*)\)\]""",
    re.VERBOSE,
)
_RANGE = re.compile(r"range[\s.$@\[]")
_COMPARISON = re.compile(r"^(?P<left>.+?)\s*(?P<operator>==|!=|<=|>=|<|>)\s*(?P<right>.+)$", re.DOTALL)


def render(template: str, value: Any) -> str:
    """The template's text with its expressions filled in.  Raises CommandError when it cannot be read."""
    if "{" not in template:
        template = "{" + template + "}"
    output, rest = _block(_tokens(template), value, value, nested=False)
    if rest:
        raise CommandError("jsonpath: {end} without {range}")
    return output


def find(expression: str, value: Any) -> list[str]:
    """The texts of everything one expression, with or without its braces, finds."""
    return [_text(found) for found in _values(_bare(expression), value, value)]


def sort_key(expression: str, value: Any) -> tuple[int, Any]:
    """Orders objects by what an expression finds in them: nothing first, then numbers, then texts, then the rest."""
    found = next(iter(_values(_bare(expression), value, value)), None)
    if found is None:
        return 0, 0
    if isinstance(found, (int, float)):
        return 1, found
    return (2, found) if isinstance(found, str) else (3, _text(found))


def _bare(expression: str) -> str:
    text = expression.strip()
    return text[1:-1].strip() if text.startswith("{") and text.endswith("}") else text


def _tokens(template: str) -> list[str]:
    """Alternating text and {expressions}, the latter still in their braces."""
    tokens, position = [], 0
    while position < len(template):
        start = template.find("{", position)
        if start < 0:
            tokens.append(template[position:])
            break
        if start > position:
            tokens.append(template[position:start])
        end = _closing(template, start)
        tokens.append(template[start : end + 1])
        position = end + 1
    return tokens


def _closing(template: str, start: int) -> int:
    quote = ""
    for position in range(start + 1, len(template)):
        char = template[position]
        if quote:
            quote = "" if char == quote and template[position - 1] != "\\" else quote
        elif char in "\"'":
            quote = char
        elif char == "}":
            return position
    raise CommandError("jsonpath: unclosed action: a { has no }")


def _block(tokens: Sequence[str], root: Any, current: Any, *, nested: bool) -> tuple[str, Sequence[str]]:
    """The output up to {end} (nested) or to the end, and the tokens behind it."""
    output = []
    while tokens:
        token, tokens = tokens[0], tokens[1:]
        if not token.startswith("{"):
            output.append(token)
            continue
        expression = token[1:-1].strip()
        if expression == "end":
            if not nested:
                return "".join(output), (token,)
            return "".join(output), tokens
        if _RANGE.match(expression):
            items = [item for found in _values(expression[5:].strip(), root, current) for item in _each(found)]
            rest: Sequence[str] = _block(tokens, root, None, nested=True)[1]
            output.extend(_block(tokens, root, item, nested=True)[0] for item in items)
            tokens = rest
        elif expression[:1] in "\"'" and expression:
            output.append(_literal(expression))
        else:
            output.append(" ".join(_text(found) for found in _values(expression, root, current)))
    return "".join(output), ()


def _each(found: Any) -> Sequence[Any]:
    return found if isinstance(found, list) else [found]


def _literal(text: str) -> str:
    body = text[1:-1]
    if text[0] == "'":
        body = body.replace('"', '\\"')
    try:
        value: str = json.loads(f'"{body}"')
    except ValueError as error:
        raise CommandError(f"jsonpath: bad string {text}") from error
    return value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _values(expression: str, root: Any, current: Any) -> list[Any]:
    if expression.startswith("$"):
        expression, start = expression[1:], root
    elif expression.startswith("@"):
        expression, start = expression[1:], current
    else:
        start = current
        expression = expression if expression.startswith((".", "[")) else "." + expression
    if expression in ("", "."):
        return [start]
    found, position = [start], 0
    while position < len(expression):
        match = _STEP.match(expression, position)
        if match is None:
            raise CommandError(f"jsonpath: cannot read {expression[position:]!r}")
        found = [result for value in found for result in _step(match, value, root)]
        position = match.end()
    return found


def _step(match: re.Match[str], value: Any, root: Any) -> Iterator[Any]:
    kind = match.lastgroup
    text = match[kind] if kind else ""
    if kind == "deep":
        for inner in _descend(value):
            if isinstance(inner, dict) and text in inner:
                yield inner[text]
    elif kind in ("name", "quoted") and text != "*":
        key = text.replace("\\.", ".") if kind == "name" else text
        if isinstance(value, dict) and key in value:
            yield value[key]
    elif kind == "index" and isinstance(value, list):
        if -len(value) <= int(text) < len(value):
            yield value[int(text)]
    elif kind == "slice" and isinstance(value, list):
        yield from value[slice(*(int(part) if part else None for part in text.split(":")))]
    elif kind == "filter" and isinstance(value, list):
        yield from (item for item in value if _holds(text, root, item))
    elif kind == "star" or text == "*":
        yield from value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _descend(value: Any) -> Iterator[Any]:
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        yield from _descend(item)


def _holds(condition: str, root: Any, item: Any) -> bool:
    match = _COMPARISON.match(condition.strip())
    if match is None:
        return bool(_values(condition.strip(), root, item))
    left, right = _operand(match["left"], root, item), _operand(match["right"], root, item)
    if left is None or right is None:
        return False
    try:
        outcomes = {"==": left == right, "!=": left != right}
        if match["operator"] in outcomes:
            return bool(outcomes[match["operator"]])
        ordered = {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}
        return bool(ordered[match["operator"]])
    except TypeError:
        return False


def _operand(text: str, root: Any, item: Any) -> Any:
    text = text.strip()
    if text[:1] in ("'", '"'):
        return _literal(text)
    if text.startswith(("@", "$", ".")):
        found = _values(text, root, item)
        return found[0] if found else None
    try:
        return json.loads(text)
    except ValueError:
        return text
