"""The one spelling of a path: what is routed is what is sent.  Pure.

What must stay true: `canonical(canonical(p)) == canonical(p)`; no canonical path has a dot segment, an empty segment
before its last, or an escape of a character that needs none; a path that a backend could read as another one (an
encoded slash or a backslash around dots, a NUL) is refused, not guessed.
"""

from __future__ import annotations

import re
from urllib.parse import quote

_PLAIN = re.compile(r"/(?:[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*(?:/(?!/)|$))*")
_ALLOWED = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/|^\"<>`{}\[\]-]|%[0-9A-Fa-f]{2})*")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HIDDEN = re.compile(r"%00|(?:^|/|%2F|%5C)\.{1,2}(?=$|/|%2F|%5C|;)")
_SAFE_IN_RULES = "/%!$&'()*+,;=:@~"


class AmbiguousPath(ValueError):
    """Different servers would read it differently."""


def canonical(path: str) -> str:
    """`path` without its query, in its one spelling.  Raises AmbiguousPath."""
    if _PLAIN.fullmatch(path):
        return path  # the usual case
    if not path.startswith("/") or not _ALLOWED.fullmatch(path):
        raise AmbiguousPath("not an absolute path")
    decoded = _ESCAPE.sub(_unescape, path)
    clean = _without_dots(decoded)
    if _HIDDEN.search(clean):
        raise AmbiguousPath("hidden path segments")
    return clean


def canonical_rule(path: str) -> str:
    """The path of a rule in the spelling that requests have.  Raises AmbiguousPath."""
    return canonical(quote(path or "/", safe=_SAFE_IN_RULES))


def _unescape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _without_dots(path: str) -> str:
    """RFC 3986 5.2.4, and runs of slashes as one."""
    kept: list[str] = []
    segments = [segment for segment in path.split("/") if segment]
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    ends_in_directory = path.endswith("/") or (bool(segments) and segments[-1] in (".", ".."))
    return "/" + "/".join(kept) + ("/" if ends_in_directory and kept else "")
