"""Kubernetes quantities: "100m", "1.5Gi", "2e3".

A quantity has bounded digits and an exponent within 10^±18 before any arithmetic touches it, so hostile input such
as 1e999999 is refused by a comparison of lengths and never becomes a number.
Source of the rules: apimachinery pkg/api/resource (format families, canonical form, rounding up).
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Context, Decimal
from functools import lru_cache

FORMAT_ERROR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_ERROR = "unable to parse quantity's suffix"
_NUMBER = re.compile(r"^([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[-+]?\d*)$", re.ASCII)
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_EXPONENT = re.compile(r"^[eE]([+-]?\d+)$", re.ASCII)
_MAX_TEXT = 64
_EXACT = Context(prec=80)


class QuantityError(ValueError):
    """The text is not a quantity; the message is upstream's."""


def _parts(text: str) -> tuple[Decimal, str, int]:
    """The number without its suffix, the suffix's family ("binary", "decimal", "exponent") and its power."""
    if not text:
        raise QuantityError(FORMAT_ERROR)
    match = _NUMBER.match(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise QuantityError(FORMAT_ERROR)
    sign, whole, fraction, suffix = match.groups()
    fraction = fraction or ""
    if not whole and not fraction:
        raise QuantityError(FORMAT_ERROR)
    if len((whole + fraction).lstrip("0")) > 37:
        raise QuantityError(FORMAT_ERROR)
    number = Decimal(f"{sign}{whole or '0'}.{fraction or '0'}")
    if suffix in _BINARY:
        return number, "binary", _BINARY[suffix]
    if suffix in _DECIMAL:
        return number, "decimal", _DECIMAL[suffix]
    exponent = _EXPONENT.match(suffix)
    if exponent is None or len(exponent[1]) > 4:
        raise QuantityError(SUFFIX_ERROR)
    return number, "exponent", int(exponent[1])


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Decimal:
    """The exact value.  Raises QuantityError.  Values finer than a nano are rounded up, as upstream does."""
    number, family, power = _parts(text)
    if family == "binary":
        value = _EXACT.multiply(number, Decimal(1024**power))
    else:
        if abs(power) > 18:
            raise QuantityError(FORMAT_ERROR)
        value = number.scaleb(power, _EXACT)
    limit = Decimal(2**63 - 1)
    value = max(-limit, min(limit, value))
    if value.as_tuple().exponent < -9:  # type: ignore[operator]  # never "n", "N" or "F" here
        sign = -1 if value < 0 else 1
        value = sign * abs(value).quantize(Decimal("1e-9"), rounding=ROUND_CEILING, context=_EXACT)
    return value


def value(text: str) -> int:
    """Whole units, rounded up: bytes of "1Gi", pods of "110"."""
    return int(parse_quantity(text).to_integral_value(rounding=ROUND_CEILING))


def milli(text: str) -> int:
    """Thousandths, rounded up: millicores of "0.5"."""
    return int(parse_quantity(text).scaleb(3, _EXACT).to_integral_value(rounding=ROUND_CEILING))


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The text upstream writes back: "1000m" -> "1", "1024Mi" -> "1Gi", "0.5" -> "500m", "1e3" -> "1e3"."""
    number = parse_quantity(text)
    _, family, _ = _parts(text)
    if number == 0:
        return "0"
    if family == "binary" and (abs(number) < 1024 or number != number.to_integral_value()):
        family = "decimal"
    if family == "binary":
        whole, power = int(number), 0
        while whole % 1024 == 0 and power < 6:
            whole, power = whole // 1024, power + 1
        return f"{whole}{'' if power == 0 else next(s for s, p in _BINARY.items() if p == power)}"
    exponent = -9
    scaled = int(number.scaleb(9, _EXACT))
    while scaled % 1000 == 0 and exponent < 18:
        scaled, exponent = scaled // 1000, exponent + 3
    if family == "exponent":
        return f"{scaled}" if exponent == 0 else f"{scaled}e{exponent}"
    return f"{scaled}{_DECIMAL_SUFFIX[exponent]}"


def format_bytes(count: int) -> str:
    """A byte count as a binary quantity without loss: 2147483648 -> "2Gi", 1500 -> "1500"."""
    return canonical(f"{count / 1024:.0f}Ki") if count and count % 1024 == 0 else str(count)
