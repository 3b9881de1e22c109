"""What a request asks for, read from method, path and query ONCE; authorization and the verbs both use this reading.

What must stay true: the path that is authorised is the path that is served.  So nothing after this module looks at the
URL, and a path that two readers could understand differently (`//`, `..`, `%2f`, broken escapes) is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from tiphys.api.selectors import parse_field_selector
from tiphys.api.status import StatusError, bad_request

Query = Mapping[str, Sequence[str]]

_METHOD_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_CONNECTING = frozenset({"exec", "attach", "portforward"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")  # not isdigit: to Python "²" is a digit
_COLLECTION = frozenset({"list", "watch", "deletecollection"})
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """Upstream's RequestInfo.  Where the path is no resource, only `path` and `verb` (the method, lower case) count."""

    path: str  # decoded, without trailing slash
    verb: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    segments: tuple[str, ...] = ()  # what follows the subresource (proxy paths)
    trailing_slash: bool = False  # means something to proxies only
    label_selector: str = ""  # as it was sent, of a collection

    @property
    def scope(self) -> str:
        """The metrics label: resource (one object), namespace, cluster, or "" outside the API."""
        if not self.is_resource:
            return ""
        if self.verb in _COLLECTION:
            return "namespace" if self.namespace else "cluster"
        if self.name or self.verb == "create":
            return "resource"
        return "namespace" if self.namespace else "cluster"


def split_path(raw_path: str) -> list[str]:
    """Decoded segments of a raw request path.  Raises 400 for a path that can be read in two ways."""
    if not raw_path.startswith("/"):
        raise bad_request("the request path must start with a slash")
    raw_segments = raw_path[1:].split("/")
    if raw_segments[-1] == "":
        raw_segments.pop()  # one trailing slash means nothing
    segments = []
    for raw in raw_segments:
        segment = _decode_segment(raw) if "%" in raw else raw
        if segment in ("", ".", "..") or "/" in segment or "%" in segment or "\\" in segment or "\0" in segment:
            raise bad_request(f"invalid path segment {raw!r} in the request path")
        segments.append(segment)
    return segments


def _decode_segment(raw: str) -> str:
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise bad_request(f"invalid escape in path segment {raw!r}") from None


def first(query: Query, key: str, default: str = "") -> str:
    """The first value of a query parameter."""
    values = query.get(key)
    return values[0] if values else default


def truthy(query: Query, key: str) -> bool:
    """A boolean query parameter as upstream converts it: given and neither "false" nor "0"."""
    values = query.get(key)
    return bool(values) and values[0].lower() not in ("false", "0")  # type: ignore[index]


def integer(query: Query, key: str) -> int | None:
    """An int64 query parameter; None where it is not given or empty.  Raises 400."""
    text = first(query, key)
    if not text:
        return None
    number = int(text) if _INTEGER.fullmatch(text) else 2**63
    if not -(2**63) <= number < 2**63:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return number


def parse_request_info(method: str, raw_path: str, query: Query) -> RequestInfo:
    """Raises 400 (ambiguous path) or 405 (unknown method on a resource path)."""
    segments = split_path(raw_path)
    path = "/" + "/".join(segments)
    plain = RequestInfo(path, method.lower())
    if len(segments) >= 3 and segments[0] == "api":
        group, version, rest = "", segments[1], segments[2:]
    elif len(segments) >= 4 and segments[0] == "apis":
        group, version, rest = segments[1], segments[2], segments[3:]
    else:
        return plain
    watching = rest[0] == "watch" and len(rest) > 1  # the old /watch/ prefix
    namespace, resource, name, subresource, tail = _split_resource(rest[1:] if watching else rest)
    verb = _verb(method, subresource)
    if watching:
        verb = "watch"
    elif not subresource:
        verb = _collection_verb(verb, name, query)
    if verb in _COLLECTION and not name:
        name = _selected_name(query)
    return RequestInfo(
        path,
        verb,
        is_resource=True,
        group=group,
        version=version,
        namespace=namespace,
        resource=resource,
        subresource=subresource,
        name=name,
        segments=tail,
        trailing_slash=raw_path.endswith("/"),
        label_selector=first(query, "labelSelector") if verb in _COLLECTION else "",
    )


def _verb(method: str, subresource: str) -> str:
    """Raises 405.  What starts a program or opens a connection is `create`, also as the GET of a WebSocket."""
    verb = _METHOD_VERBS.get(method)
    if verb is None:
        if method == "OPTIONS" and subresource == "proxy":
            return ""  # as upstream: only a rule for all verbs allows it
        raise StatusError(405, "MethodNotAllowed", f"the server does not allow the method {method}")
    return "create" if verb == "get" and subresource in _CONNECTING else verb


def _split_resource(rest: list[str]) -> tuple[str, str, str, str, tuple[str, ...]]:
    """(namespace, resource, name, subresource, tail) of the segments after the version."""
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    return namespace, rest[0], name, subresource, tuple(rest[3:])


def _selected_name(query: Query) -> str:
    """The one object a field selector asks for: authorizers may know more about it than about the collection."""
    try:
        requirements = parse_field_selector(first(query, "fieldSelector"))
    except ValueError:
        return ""  # refused later, with the text for the client
    names = {value for path, operator, value in requirements if path == "metadata.name" and operator in ("=", "==")}
    return names.pop() if len(names) == 1 else ""


def _collection_verb(verb: str, name: str, query: Query) -> str:
    if verb == "get":
        if truthy(query, "watch"):
            return "watch"
        return "get" if name else "list"
    if verb == "delete" and not name:
        return "deletecollection"
    return verb
