"""What the server sends is shown, never obeyed: control characters do not reach the terminal.

Used for tables, descriptions, events and error texts.  Logs are passed on untouched, as kubectl passes them.
"""

from __future__ import annotations

_KEPT = "\n\t"
_CONTROLS = [chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))]
_BIDI = [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]
_SHOWN: dict[str, str] = {"\x1b": "^[", "\r": "\\r"}  # kubectl's own spelling
_TABLE = str.maketrans({char: _SHOWN.get(char, "?") for char in (*_CONTROLS, *_BIDI) if char not in _KEPT})


def neutral(text: str) -> str:
    """The text without anything a terminal would act on; newlines and tabs stay."""
    return text if text.isprintable() else text.translate(_TABLE)
