"""Which servers are asked for names that are not the cluster's: the node's resolv.conf, or settings, by domain.

What must stay true: our own address is never among them; a server that fails is asked last until it has been left
alone for a while.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodeagent.dns.wire import Name, name_of
from nodeagent.pods.netfiles import parse_resolv_conf
from tiphys.logs import fields

_log = logging.getLogger(__name__)

REREAD_SECONDS = 5.0
FIRST_REST_SECONDS, LAST_REST_SECONDS = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Server:
    address: str
    port: int = 53

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def parse_server(text: str) -> Server:
    """ "10.0.0.1", "10.0.0.1:5353", "[fd00::1]:53".  Raises ValueError."""
    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    ipaddress.ip_address(host.partition("%")[0])
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"not a port: {text!r}")
    return Server(host, int(port))


def parse_stub_domains(texts: Sequence[str]) -> dict[Name, tuple[Server, ...]]:
    """ "corp.example=10.0.0.1,10.0.0.2" each.  Raises ValueError."""
    found = {}
    for text in texts:
        domain, separator, servers = text.partition("=")
        if not separator or not name_of(domain):
            raise ValueError(f"not DOMAIN=SERVER,...: {text!r}")
        found[name_of(domain)] = tuple(parse_server(part) for part in servers.split(",") if part)
    return found


@dataclass
class _State:
    failures: int = 0
    rests_until_seconds: float = 0.0


class Upstreams:
    """`own`: addresses we answer on.  `fixed` replaces the resolv.conf."""

    def __init__(
        self,
        own: Sequence[str],
        *,
        resolv_conf: Path = Path("/etc/resolv.conf"),
        fixed: Sequence[Server] = (),
        stub_domains: Mapping[Name, Sequence[Server]] | None = None,
    ) -> None:
        self._own = {ipaddress.ip_address(text) for text in own}
        self._resolv_conf = resolv_conf
        self._fixed = tuple(fixed)
        self._stubs = dict(stub_domains or {})
        self._states: dict[Server, _State] = {}
        self._looped: set[Server] = set()
        self._read: tuple[Server, ...] = ()
        self._stamp: object = None
        self._reread_at = float("-inf")

    def choose(self, name: Name, now_seconds: float) -> list[Server]:
        """The servers to ask for `name`, in order."""
        for cut in range(len(name)) if self._stubs else ():
            stub = self._stubs.get(name[cut:])
            if stub is not None:
                return self._ordered(stub, now_seconds)
        return self._ordered(self._fixed or self._from_file(now_seconds), now_seconds)

    def all(self, now_seconds: float) -> list[Server]:
        default = self._fixed or self._from_file(now_seconds)
        return list(dict.fromkeys([*default, *(server for stub in self._stubs.values() for server in stub)]))

    def failed(self, server: Server, now_seconds: float) -> None:
        state = self._states.setdefault(server, _State())
        state.failures += 1
        rest = min(FIRST_REST_SECONDS * 2.0 ** min(state.failures - 1, 10), LAST_REST_SECONDS)
        state.rests_until_seconds = now_seconds + rest

    def rests(self, server: Server, now_seconds: float) -> bool:
        """Whether it has failed a moment ago."""
        state = self._states.get(server)
        return state is not None and state.rests_until_seconds > now_seconds

    def answered(self, server: Server) -> None:
        self._states.pop(server, None)

    def looped(self, server: Server) -> None:
        """Our own question came back from it: it is not asked again."""
        if server not in self._looped:
            _log.error("an upstream DNS server asks us: not used", extra=fields(server=server))
        self._looped.add(server)

    def _ordered(self, servers: Sequence[Server], now_seconds: float) -> list[Server]:
        usable = [one for one in servers if one not in self._looped and not self._is_own(one)]
        rest = {server: state.rests_until_seconds for server, state in self._states.items()}
        return sorted(usable, key=lambda server: max(rest.get(server, 0.0) - now_seconds, 0.0))

    def _is_own(self, server: Server) -> bool:
        return server.port == 53 and ipaddress.ip_address(server.address.partition("%")[0]) in self._own

    def _from_file(self, now_seconds: float) -> tuple[Server, ...]:
        if now_seconds >= self._reread_at:
            self._reread_at = now_seconds + REREAD_SECONDS
            try:
                status = self._resolv_conf.stat()
                stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
                if stamp != self._stamp:
                    self._stamp = stamp
                    self._read = _servers(self._resolv_conf.read_text())
                    self._looped.clear()
            except OSError as error:
                _log.warning("resolv.conf cannot be read", extra=fields(cause=error))
        return self._read


def _servers(text: str) -> tuple[Server, ...]:
    found = []
    for address in parse_resolv_conf(text)[0]:
        try:
            found.append(parse_server(f"[{address}]" if ":" in address else address))
        except ValueError:
            _log.warning("not a name server's address", extra=fields(address=address))
    return tuple(dict.fromkeys(found))
