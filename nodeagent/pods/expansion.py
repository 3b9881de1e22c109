"""`$(VAR)` references in env values, command and args, by upstream's rules.

`$(NAME)` becomes the value if NAME is known and stays as it is if not; `$$` is one dollar sign; anything else after
`$` is kept.
"""

from __future__ import annotations

from collections.abc import Mapping


def expand(text: str, values: Mapping[str, str]) -> str:
    """`text` with its references replaced once (values are not expanded again)."""
    out: list[str] = []
    checkpoint = cursor = 0
    while cursor < len(text):
        if text[cursor] != "$" or cursor + 1 >= len(text):
            cursor += 1
            continue
        out.append(text[checkpoint:cursor])
        replacement, used = _reference(text[cursor + 1 :], values)
        out.append(replacement)
        cursor += 1 + used
        checkpoint = cursor
    out.append(text[checkpoint:])
    return "".join(out)


def _reference(rest: str, values: Mapping[str, str]) -> tuple[str, int]:
    """What stands for the text after a `$`, and how many of its characters that consumes."""
    if rest[0] == "$":
        return "$", 1
    if rest[0] != "(":
        return "$" + rest[0], 1
    end = rest.find(")")
    if end < 0:
        return "$(", 1
    name = rest[1:end]
    return values.get(name, f"$({name})"), end + 1
