"""The patterns of schemas, by an engine that cannot be made to hang.

Python's `re` backtracks: `^(a+)+$` on thirty letters runs for minutes.  Patterns come from users, so they are matched
by RE2 (the optional extra google-re2), which is also the syntax upstream accepts.  Without RE2 only patterns that
cannot blow up are taken: no group that repeats may itself contain a repetition or alternatives, no more than three
repetitions, no references and no looking around; and the more repetitions, the shorter the text they may see.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import Any

try:
    import re2  # type: ignore[import-untyped,import-not-found,unused-ignore]
except ImportError:
    re2 = None

PATTERN_LIMIT = 4096
_REPETITION_LIMIT = 3
_STEP_LIMIT = 10**7  # without RE2: a text of n characters and r repetitions take about n to the power of r + 1 steps
_MEMORY_LIMIT_BYTES = 8 << 20


class PatternError(ValueError):
    """The text says what is wrong with the pattern."""


@lru_cache(maxsize=2048)
def _compiled(pattern: str) -> tuple[Any, int]:
    """The compiled pattern and the longest text it may see."""
    if len(pattern) > PATTERN_LIMIT:
        raise PatternError(f"longer than {PATTERN_LIMIT} characters")
    if re2 is not None:
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MEMORY_LIMIT_BYTES
        try:
            return re2.compile(pattern, options), sys.maxsize
        except re2.error as error:
            text = error.args[0] if error.args else b""
            raise PatternError(f"error parsing regexp: {text.decode() if isinstance(text, bytes) else text}") from None
    repetitions = _count_repetitions(pattern)
    try:
        return re.compile(pattern, re.ASCII), int(_STEP_LIMIT ** (1 / (repetitions + 1)))
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"error parsing regexp: {error}") from None


def check_pattern(pattern: str) -> None:
    """Raises PatternError."""
    _compiled(pattern)


def is_match(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text.  A pattern that cannot be used matches nothing."""
    try:
        compiled, limit = _compiled(pattern)
    except PatternError:
        return False
    return len(text) <= limit and compiled.search(text) is not None


def find_all(pattern: str, text: str, limit: int = -1) -> list[str]:
    """The matches from left to right, at most `limit` of them where that is not negative.  Raises PatternError."""
    found: list[str] = []
    compiled, longest = _compiled(pattern)
    for match in compiled.finditer(text[:longest]):
        if 0 <= limit <= len(found):
            break
        found.append(match.group(0))
    return found


_TOO_RICH = "is too complex to be matched safely; install the extra google-re2"


def _count_repetitions(pattern: str) -> int:
    """How many repetitions there are; refuses what could backtrack for long.  A conservative reading, not a parser."""
    if re.search(r"\(\?(?!:|P<|i\)|s\)|m\))|\\[1-9]|\(\?P=", pattern):
        raise PatternError(f"the pattern {_TOO_RICH}")
    stack: list[bool] = []  # for each open group: whether there is a repetition or an alternative in it
    repetitions, in_class, closed_rich, at = 0, False, False, 0
    while at < len(pattern):
        char = pattern[at]
        at += 2 if char == "\\" else 1
        if in_class:
            in_class = char != "]"
            continue
        repeats = char in "*+" or (char == "{" and re.match(r"\d*,?\d*\}", pattern[at:]) is not None)
        if char == "[":
            in_class = True
        elif char == "(":
            stack.append(False)
        elif char == "|" and stack:
            stack[-1] = True
        elif char == ")" and stack:
            closed_rich = stack.pop()
            if closed_rich and stack:
                stack[-1] = True
            continue
        elif repeats:
            if closed_rich:
                raise PatternError(f"the pattern {_TOO_RICH}")
            repetitions += 1
            if stack:
                stack[-1] = True
        closed_rich = False
    if repetitions > _REPETITION_LIMIT:
        raise PatternError(f"the pattern {_TOO_RICH}")
    return repetitions
