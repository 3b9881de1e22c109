"""The formats a schema may ask of a text or a number: upstream's list; a format it does not know is no rule."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tiphys.api.names import is_dns1123_label, is_dns1123_subdomain
from tiphys.api.times import parse_time

_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_DURATION = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w)\Z", re.ASCII)
_GO_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_EMAIL = re.compile(r"[^@\s<>]{1,64}@[^@\s<>]{1,255}\Z")
_MAC = re.compile(r"([0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}(\.[0-9A-Fa-f]{4}){2})\Z")
_HEX_COLOUR = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})\Z")
_RGB = re.compile(r"rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)\Z")
_ISBN10, _ISBN13 = re.compile(r"\d{9}[\dX]\Z"), re.compile(r"\d{13}\Z")
_CARD = re.compile(r"\d{13,19}\Z")
_SSN = re.compile(r"\d{3}[- ]?\d{2}[- ]?\d{4}\Z")
_HOST_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"({_HOST_LABEL}\.)*{_HOST_LABEL}\.?\Z")
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}\Z")


def _date_time(text: str) -> bool:
    try:
        parse_time(text.upper())
    except ValueError:
        return False
    return True


def _date(text: str) -> bool:
    return _DATE.match(text) is not None and _date_time(text + "T00:00:00Z")


def duration_seconds(text: str) -> float | None:
    """A Go duration (1h30m, -1.5s, 0) in seconds; None where it is none."""
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return 0.0
    scale = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
    total, at = 0.0, 0
    while at < len(body) <= 64:
        match = _GO_DURATION_PART.match(body, at)
        if match is None:
            return None
        total += float(match[1]) * scale[match[2]]
        at = match.end()
    return None if not at else -total if text[:1] == "-" else total


def _address(version: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version
        except ValueError:
            return False

    return check


def _cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _uuid(version: int = 0) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            found = uuid.UUID(text)
        except ValueError:
            return False
        return not version or found.version == version

    return check


def _uri(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme) or text.startswith("/")
    except ValueError:
        return False


def _base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _matches(pattern: re.Pattern[str], limit: int = 512) -> Callable[[str], bool]:
    return lambda text: len(text) <= limit and pattern.match(text) is not None


_TEXTS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches(_OBJECT_ID),
    "uri": _uri,
    "email": _matches(_EMAIL),
    "hostname": _matches(_HOST, 255),
    "ipv4": _address(4),
    "ipv6": _address(6),
    "cidr": _cidr,
    "mac": _matches(_MAC),
    "uuid": _uuid(),
    "uuid3": _uuid(3),
    "uuid4": _uuid(4),
    "uuid5": _uuid(5),
    "isbn": lambda text: _isbn(text, _ISBN10, _ISBN13),
    "isbn10": lambda text: _isbn(text, _ISBN10),
    "isbn13": lambda text: _isbn(text, _ISBN13),
    "creditcard": lambda text: _CARD.match(re.sub("[- ]", "", text[:64])) is not None,
    "ssn": _matches(_SSN),
    "hexcolor": _matches(_HEX_COLOUR),
    "rgbcolor": _matches(_RGB),
    "byte": _base64,
    "date": _date,
    "duration": lambda text: duration_seconds(text) is not None or _matches(_DURATION)(text.replace(" ", "")),
    "datetime": _date_time,
    "k8s-short-name": lambda text: not is_dns1123_label(text),
    "k8s-long-name": lambda text: not is_dns1123_subdomain(text),
}
SUPPORTED = frozenset({*_TEXTS, "password", "date-time", "int32", "int64", "float", "double"})


def _isbn(text: str, *patterns: re.Pattern[str]) -> bool:
    digits = re.sub("[- ]", "", text[:64])
    return any(pattern.match(digits) for pattern in patterns)


def is_format(name: str, value: Any) -> bool:
    """Whether a text has the format of that name; formats of other values and unknown ones are no rule."""
    if not isinstance(value, str):
        return True
    check = _TEXTS.get(name) or _TEXTS.get(name.replace("-", ""))
    return check is None or check(value)
