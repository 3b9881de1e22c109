"""Kubernetes' CEL functions: lists, sets, regular expressions, URLs, addresses, quantities, semantic versions.

Values of their own types travel as messages that carry the canonical text; each function reads it again.  A function
that raises ValueError gives CEL an error value with that text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, urlsplit

from cel_expr_python import cel  # type: ignore[import-untyped,import-not-found,unused-ignore]

from tiphys.api.customresource.cel.engine import LIBRARY, library_message
from tiphys.api.customresource.regex import find_all
from tiphys.api.quantity import QuantityError, canonical, parse_quantity

T = cel.Type
_LIST = T.List(T.DYN)
_TEXTS = T.List(T.STRING)


class _Table:
    """Collects overloads by function name.

    Running, the library tells overloads apart by the kind of a value only, and all messages are of one kind.  So there
    the types of our own are `dyn`, and of overloads with as many parameters only the first is there, which asks the
    value what it is.  Hence: where one takes our own type and another a plain one, our own comes first."""

    def __init__(self, *, running: bool) -> None:
        self._running = running
        self._found: dict[str, list[Any]] = {}
        self._seen: set[tuple[str, bool, int]] = set()

    def add(self, name: str, result: Any, parameters: Sequence[Any], body: Callable[..., Any], *, member: bool) -> None:
        if self._running:
            parameters = [T.DYN if one.is_message() else one for one in parameters]
            if (name, member, len(parameters)) in self._seen:
                return
        self._seen.add((name, member, len(parameters)))
        overloads = self._found.setdefault(name, [])
        overload_id = f"tiphys_{name.replace('.', '_')}_{len(overloads)}"
        overloads.append(cel.Overload(overload_id, result, list(parameters), member, body))

    def declarations(self) -> list[Any]:
        return [cel.FunctionDecl(name, overloads) for name, overloads in self._found.items()]


def extension(pool: Any, *, running: bool) -> Any:
    """The functions for running rules, or, with the types they are declared with, for checking them."""
    table = _Table(running=running)
    if not running:
        _mixed_comparisons(table)
    _lists(table)
    _texts(table)
    _urls(table, library_message(pool, "URL"))
    _addresses(table, library_message(pool, "IP"), library_message(pool, "CIDR"))
    _quantities(table, library_message(pool, "Quantity"))
    _versions(table, library_message(pool, "Semver"))
    return cel.CelExtension("kubernetes", table.declarations())


def _type(name: str) -> Any:
    return T(f"{LIBRARY}.{name}")


def _succeeds(function: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            function(text)
        except ValueError:
            return False
        return True

    return check


def _mixed_comparisons(table: _Table) -> None:
    """Kubernetes lets integers and doubles be ordered; so does the library when it runs, but not when it checks."""
    for operator in ("_<_", "_<=_", "_>_", "_>=_"):
        for one, other in ((T.INT, T.DOUBLE), (T.DOUBLE, T.INT)):
            table.add(operator, T.BOOL, [one, other], lambda a, b: False, member=False)


# --- lists and texts --------------------------------------------------------------------------------------------------


def _lists(table: _Table) -> None:
    table.add("isSorted", T.BOOL, [_LIST], _is_sorted, member=True)
    table.add("sum", T.DYN, [_LIST], _sum, member=True)
    table.add("min", T.DYN, [_LIST], _least, member=True)
    table.add("max", T.DYN, [_LIST], _greatest, member=True)
    table.add("indexOf", T.INT, [_LIST, T.DYN], lambda items, item: _index(items, item), member=True)
    table.add("lastIndexOf", T.INT, [_LIST, T.DYN], _last_index, member=True)
    table.add("sets.contains", T.BOOL, [_LIST, _LIST], lambda a, b: all(one in a for one in b), member=False)
    table.add("sets.intersects", T.BOOL, [_LIST, _LIST], lambda a, b: any(one in a for one in b), member=False)
    table.add(
        "sets.equivalent",
        T.BOOL,
        [_LIST, _LIST],
        lambda a, b: all(one in a for one in b) and all(one in b for one in a),
        member=False,
    )


def _is_sorted(items: list[Any]) -> bool:
    return all(one <= other for one, other in pairwise(items))


def _sum(items: list[Any]) -> Any:
    return sum(items[1:], items[0]) if items else 0


def _least(items: list[Any]) -> Any:
    if not items:
        raise ValueError("min called on empty list")
    return min(items)


def _greatest(items: list[Any]) -> Any:
    if not items:
        raise ValueError("max called on empty list")
    return max(items)


def _index(items: list[Any], item: Any) -> int:
    return next((place for place, one in enumerate(items) if one == item), -1)


def _last_index(items: list[Any], item: Any) -> int:
    found = _index(items[::-1], item)
    return -1 if found < 0 else len(items) - 1 - found


def _texts(table: _Table) -> None:
    table.add("find", T.STRING, [T.STRING, T.STRING], _find, member=True)
    table.add("findAll", _TEXTS, [T.STRING, T.STRING], lambda text, pattern: find_all(pattern, text), member=True)
    table.add("findAll", _TEXTS, [T.STRING, T.STRING, T.INT], _find_some, member=True)


def _find(text: str, pattern: str) -> str:
    return next(iter(find_all(pattern, text, 1)), "")


def _find_some(text: str, pattern: str, limit: int) -> list[str]:
    return find_all(pattern, text, limit)


# --- URLs -------------------------------------------------------------------------------------------------------------


def _urls(table: _Table, message: Any) -> None:
    kind = _type("URL")
    table.add("url", kind, [T.STRING], lambda text: message(text=_url(text).geturl()), member=False)
    table.add("isURL", T.BOOL, [T.STRING], _succeeds(_url), member=False)
    parts: dict[str, Callable[[SplitResult], str]] = {
        "getScheme": lambda url: url.scheme,
        "getHost": lambda url: url.netloc.rpartition("@")[2],
        "getHostname": lambda url: url.hostname or "",
        "getPort": lambda url: str(url.port) if url.port is not None else "",
        "getEscapedPath": lambda url: url.path,
    }
    for name, read in parts.items():
        table.add(name, T.STRING, [kind], _reading(read), member=True)


def _reading(read: Callable[[SplitResult], str]) -> Callable[[Any], str]:
    return lambda value: read(urlsplit(value.text))


def _url(text: str) -> SplitResult:
    """Absolute, or an absolute path."""
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise ValueError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    _ = parts.port  # raises on what is no port
    return parts


# --- addresses --------------------------------------------------------------------------------------------------------

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _address(text: str) -> Address:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f'IP Address parse error during conversion from string: ParseAddr("{text}")') from None
    if "%" in text or (isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None):
        raise ValueError(f"IP Address {text} with zone value or in IPv4-mapped IPv6 form is not allowed")
    return found


def _network(text: str) -> tuple[Address, Network]:
    address, slash, _ = text.partition("/")
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        slash = ""
    if not slash:
        raise ValueError(f'network address parse error during conversion from string: netip.ParsePrefix("{text}")')
    return _address(address), found


def _addresses(table: _Table, ip: Any, cidr: Any) -> None:
    address, network = _type("IP"), _type("CIDR")
    table.add("ip", address, [T.STRING], lambda text: ip(text=str(_address(text))), member=False)
    table.add("isIP", T.BOOL, [T.STRING], _succeeds(_address), member=False)
    table.add("ip.isCanonical", T.BOOL, [T.STRING], lambda text: str(_address(text)) == text, member=False)
    facts: dict[str, Callable[[Address], Any]] = {
        "isUnspecified": lambda one: one.is_unspecified,
        "isLoopback": lambda one: one.is_loopback,
        "isLinkLocalMulticast": _is_link_local_multicast,
        "isLinkLocalUnicast": lambda one: one.is_link_local,
        "isGlobalUnicast": _is_global_unicast,
    }
    for name, read in facts.items():
        table.add(name, T.BOOL, [address], _about(read), member=True)
    table.add("family", T.INT, [address], lambda value: _address(value.text).version, member=True)
    table.add("cidr", network, [T.STRING], lambda text: cidr(text=_shown(text)), member=False)
    table.add("isCIDR", T.BOOL, [T.STRING], _succeeds(_network), member=False)
    for other in (address, T.STRING):
        table.add("containsIP", T.BOOL, [network, other], lambda n, a: _has(n.text, _text(a)), member=True)
    for other in (network, T.STRING):
        table.add("containsCIDR", T.BOOL, [network, other], lambda n, o: _covers(n.text, _text(o)), member=True)
    table.add("ip", address, [network], lambda n: ip(text=str(_network(n.text)[0])), member=True)
    table.add("masked", network, [network], lambda n: cidr(text=str(_network(n.text)[1])), member=True)
    table.add("prefixLength", T.INT, [network], lambda n: _network(n.text)[1].prefixlen, member=True)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value.text)


def _about(read: Callable[[Address], Any]) -> Callable[[Any], bool]:
    return lambda value: bool(read(_address(value.text)))


def _is_link_local_multicast(one: Address) -> bool:
    block = "224.0.0.0/24" if one.version == 4 else "ff02::/16"
    return one in ipaddress.ip_network(block)


def _is_global_unicast(one: Address) -> bool:
    broadcast = str(one) == "255.255.255.255"
    return not (one.is_unspecified or one.is_loopback or one.is_multicast or one.is_link_local or broadcast)


def _shown(text: str) -> str:
    address, network = _network(text)
    return f"{address}/{network.prefixlen}"


def _has(network: str, address: str) -> bool:
    return _address(address) in _network(network)[1]


def _covers(network: str, other: str) -> bool:
    one, two = _network(network)[1], _network(other)[1]
    return one.version == two.version and two.prefixlen >= one.prefixlen and two.network_address in one


# --- quantities -------------------------------------------------------------------------------------------------------


def _quantity(text: str) -> Decimal:
    try:
        return Decimal(str(parse_quantity(text)))
    except QuantityError as error:
        raise ValueError(str(error)) from None


def _quantities(table: _Table, message: Any) -> None:
    kind = _type("Quantity")

    def make(text: str) -> Any:
        _quantity(text)
        return message(text=canonical(text))

    def result(number: Decimal) -> Any:
        return message(text=canonical(format(number, "f")))

    table.add("quantity", kind, [T.STRING], make, member=False)
    table.add("isQuantity", T.BOOL, [T.STRING], _succeeds(_quantity), member=False)
    table.add("isInteger", T.BOOL, [kind], lambda q: _quantity(q.text) % 1 == 0, member=True)
    table.add("asInteger", T.INT, [kind], _as_integer, member=True)
    table.add("asApproximateFloat", T.DOUBLE, [kind], lambda q: float(_quantity(q.text)), member=True)
    table.add("sign", T.INT, [kind], lambda q: _compare(_quantity(q.text), Decimal(0)), member=True)
    _ordered(table, kind)
    for other in (kind, T.INT):
        table.add("add", kind, [kind, other], lambda a, b: result(_number(a) + _number(b)), member=True)
        table.add("sub", kind, [kind, other], lambda a, b: result(_number(a) - _number(b)), member=True)


def _number(value: Any) -> Decimal:
    return Decimal(value) if isinstance(value, int) else _quantity(value.text)


def _as_integer(value: Any) -> int:
    number = _quantity(value.text)
    if number % 1 != 0:
        raise ValueError("cannot convert value to integer")
    return int(number)


def _compare(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def _ordered(table: _Table, kind: Any) -> None:
    table.add("compareTo", T.INT, [kind, kind], lambda a, b: _compare(_key(a), _key(b)), member=True)
    table.add("isGreaterThan", T.BOOL, [kind, kind], lambda a, b: _key(a) > _key(b), member=True)
    table.add("isLessThan", T.BOOL, [kind, kind], lambda a, b: _key(a) < _key(b), member=True)


def _key(value: Any) -> Any:
    """What a quantity or a version is ordered by."""
    return _semver(value.text) if value.DESCRIPTOR.name == "Semver" else _quantity(value.text)


# --- semantic versions ------------------------------------------------------------------------------------------------

_SEMVER = re.compile(
    r"(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,18})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?\Z", re.ASCII
)


def _semver(text: str, normalize: bool = False) -> tuple[Any, ...]:
    """Sorts as semantic versions do: a release is above its pre-releases."""
    if normalize:
        text = _normalized(text)
    match = _SEMVER.match(text) if len(text) <= 256 else None
    if match is None:
        raise ValueError(f"No Major.Minor.Patch elements found in {text!r}")
    release = tuple(int(match[place]) for place in (1, 2, 3))
    if match[4] is None:
        return (*release, 1, ())
    parts = tuple((0, int(one), "") if one.isdigit() else (1, 0, one) for one in match[4].split("."))
    return (*release, 0, parts)


def _normalized(text: str) -> str:
    """v1.2 is 1.2.0"""
    text = text.removeprefix("v")
    cut = min((place for place in (text.find("-"), text.find("+")) if place >= 0), default=len(text))
    numbers = [one.lstrip("0") or "0" for one in text[:cut].split(".")]
    return ".".join([*numbers, "0", "0"][: max(3, len(numbers))]) + text[cut:]


def _versions(table: _Table, message: Any) -> None:
    kind = _type("Semver")

    def make(text: str, normalize: bool = False) -> Any:
        _semver(text, normalize)
        return message(text=_normalized(text) if normalize else text)

    table.add("semver", kind, [T.STRING], make, member=False)
    table.add("semver", kind, [T.STRING, T.BOOL], make, member=False)
    table.add("isSemver", T.BOOL, [T.STRING], _succeeds(_semver), member=False)
    table.add("isSemver", T.BOOL, [T.STRING, T.BOOL], lambda t, n: _succeeds(lambda x: _semver(x, n))(t), member=False)
    _ordered(table, kind)
    for place, name in enumerate(("major", "minor", "patch")):
        table.add(name, T.INT, [kind], _part(place), member=True)


def _part(place: int) -> Callable[[Any], int]:
    return lambda value: int(_semver(value.text)[place])
