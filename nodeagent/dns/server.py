"""The sockets: UDP and TCP on one address, for clients of this node only.

What must stay true: a client can neither block another one nor make us hold more than a bounded number of its
connections; UDP is read in small batches, so that the rest of the agent has its turn.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import struct
from collections import Counter
from collections.abc import Callable

from nodeagent.dns.responder import Responder, Waiting
from tiphys.logs import fields

_log = logging.getLogger(__name__)

BATCH = 32
MOST_CONNECTIONS, MOST_OF_ONE_CLIENT = 512, 32
IDLE_SECONDS = 10.0
QUESTION_BYTES = 4096
MOST_WAITING = 2000  # questions of UDP clients that wait for another server
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


def is_among(networks: Networks) -> Callable[[str], bool]:
    """Whether an address is a client's."""
    known: dict[str, bool] = {}

    def check(text: str) -> bool:
        answer = known.get(text)
        if answer is None:
            address = ipaddress.ip_address(text.partition("%")[0])
            answer = any(address in network for network in networks)
            if len(known) < 4096:
                known[text] = answer
        return answer

    return check


class DNSServer:
    """`await open()`, then `close()`; `port` 0 takes any, the same for both protocols."""

    def __init__(self, responder: Responder, address: str, port: int, is_client: Callable[[str], bool]) -> None:
        self._responder, self._address, self.port, self._is_client = responder, address, port, is_client
        self._udp: socket.socket | None = None
        self._tcp: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: Counter[str] = Counter()

    async def open(self) -> None:
        """Raises OSError when the address is not here or taken; then nothing is open."""
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            udp.bind((self._address, self.port))
            self.port = udp.getsockname()[1]
            self._tcp = await asyncio.start_server(self._connection, self._address, self.port, backlog=256)
        except BaseException:
            udp.close()
            raise
        self._udp = udp
        asyncio.get_running_loop().add_reader(udp, self._readable)

    async def close(self) -> None:
        if self._udp is not None:
            asyncio.get_running_loop().remove_reader(self._udp)
            self._udp.close()
            self._udp = None
        if self._tcp is not None:
            self._tcp.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _readable(self) -> None:
        udp = self._udp
        for _ in range(BATCH):
            if udp is None:
                return
            try:
                message, sender = udp.recvfrom(QUESTION_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an ICMP error of an earlier answer
            if not self._is_client(sender[0]):
                continue
            said = self._responder.respond(message, tcp=False)
            if isinstance(said, bytes):
                self._say(said, sender)
            elif said is not None and len(self._tasks) < MOST_WAITING:
                task = asyncio.create_task(self._wait_and_say(said, sender))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif said is not None:
                said.close()

    async def _wait_and_say(self, waiting: Waiting, sender: tuple[str, int]) -> None:
        said = await waiting
        if said is not None:
            self._say(said, sender)

    def _say(self, said: bytes, sender: tuple[str, int]) -> None:
        if self._udp is not None:
            try:
                self._udp.sendto(said, sender)
            except OSError:
                pass  # the client asks again

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        client = writer.get_extra_info("peername")[0]
        taken = self._clients.total() >= MOST_CONNECTIONS or self._clients[client] >= MOST_OF_ONE_CLIENT
        self._clients[client] += 1
        try:
            if not taken and self._is_client(client):
                await self._converse(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            pass  # we are closing
        except Exception:
            _log.exception("a DNS connection failed", extra=fields(client=client))
        finally:
            self._tasks.discard(task)
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                if length > QUESTION_BYTES:
                    return
                message = await reader.readexactly(length)
            said = self._responder.respond(message, tcp=True)
            if said is not None and not isinstance(said, bytes):
                said = await said
            if said is None:
                return
            writer.write(struct.pack("!H", len(said)) + said)
            async with asyncio.timeout(IDLE_SECONDS):
                await writer.drain()
