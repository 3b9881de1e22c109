"""Which backend a request belongs to: hosts and paths as dictionaries.  Pure; a table is never changed, only replaced.

What must stay true: an exact host comes before a wildcard, a wildcard before no host; within a host the longest path
wins, Exact before Prefix; a wildcard stands for exactly one label; where no path of a host matches, the next less
specific host is asked, then the default backends in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Backend:
    """A port of a Service with the addresses that serve it now.  `sticky`: a client keeps to one of them."""

    namespace: str
    service: str
    port: str
    endpoints: tuple[Address, ...] = ()
    sticky: bool = False
    fault: str = ""  # why there can be no endpoints


@dataclass(frozen=True, slots=True)
class Route:
    """A path of an Ingress, or its default backend."""

    namespace: str
    ingress: str
    backend: Backend
    https_redirect: bool = False
    max_body_bytes: int = 0  # 0: any
    timeout_seconds: float = 0.0  # 0: the usual


@dataclass(slots=True)
class HostRoutes:
    """What one host has; `depth` is the number of segments of the longest prefix."""

    exact: dict[str, Route] = field(default_factory=dict)
    prefixes: dict[str, Route] = field(default_factory=dict)
    fallback: Route | None = None
    depth: int = 0

    def add(self, path: str, exact: bool, route: Route) -> bool:
        """False when somebody else has the path already."""
        if exact:
            return self.exact.setdefault(path, route) is route
        prefix = path.rstrip("/") or "/"
        self.depth = max(self.depth, prefix.count("/"))
        return self.prefixes.setdefault(prefix, route) is route

    def find(self, path: str) -> Route | None:
        found = self.exact.get(path)
        if found is not None or not self.prefixes:
            return found
        prefix = "/".join(path.split("/", self.depth + 1)[: self.depth + 1])
        while prefix:
            found = self.prefixes.get(prefix)
            if found is not None:
                return found
            prefix = prefix.rpartition("/")[0]
        return self.prefixes.get("/")


@dataclass(slots=True)
class Table:
    """`wildcards` by what follows the star: ".example.org"."""

    hosts: dict[str, HostRoutes] = field(default_factory=dict)
    wildcards: dict[str, HostRoutes] = field(default_factory=dict)
    anywhere: HostRoutes = field(default_factory=HostRoutes)
    certificates: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Host, "*.suffix" or "" -> namespace and name of the Secret."""

    def host(self, name: str) -> HostRoutes:
        """The routes of a rule's host, made when they are new."""
        if not name:
            return self.anywhere
        if name.startswith("*."):
            return self.wildcards.setdefault(name[1:], HostRoutes())
        return self.hosts.setdefault(name, HostRoutes())

    def route(self, host: str, path: str) -> Route | None:
        """`host` in lower case without a port, `path` in its canonical spelling."""
        candidates = tuple(self._candidates(host))
        for routes in candidates:
            found = routes.find(path)
            if found is not None:
                return found
        return next((routes.fallback for routes in candidates if routes.fallback is not None), None)

    def _candidates(self, host: str) -> Iterator[HostRoutes]:
        for routes in (self.hosts.get(host), self.wildcards.get(wildcard_suffix(host)), self.anywhere):
            if routes is not None:
                yield routes

    def secret_for(self, host: str) -> tuple[str, str] | None:
        """The Secret whose certificate is shown for a host; None: the built-in one."""
        known = self.certificates
        return known.get(host) or known.get("*" + wildcard_suffix(host)) or known.get("")


def wildcard_suffix(host: str) -> str:
    """ "a.example.org" -> ".example.org"; "" when there is nothing before or after the first dot."""
    label, dot, rest = host.partition(".")
    return f".{rest}" if label and dot and rest else ""
