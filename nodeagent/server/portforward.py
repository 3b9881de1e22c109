"""/portForward: SPDY frames inside a WebSocket, one pair of SPDY streams per connection to a port of the pod.

The client opens an error stream and a data stream with the same `requestID` and `port`; when both are there a
connection is made inside the pod's network namespace.  What must stay true: streams, waiting bytes and half pairs are
bounded; a target that does not read is given up before it holds up the others for long; and with the client
everything goes.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from aiohttp import WSMsgType, web

from nodeagent.runtime import podports
from nodeagent.server import spdy
from nodeagent.server.channels import MESSAGE_LIMIT_BYTES
from nodeagent.server.conversation import IDLE_SECONDS
from nodeagent.server.forwarding import Forward, Stream
from nodeagent.server.streaming import Refused, check_uid, check_upgrade
from tiphys.api.core.pod import Pod
from tiphys.logs import fields

_log = logging.getLogger(__name__)

PROTOCOL = "SPDY/3.1+portforward.k8s.io"
STREAMS_LIMIT = 2048
PAIR_SECONDS = 30.0


class PortForwardRoute:
    """`/portForward/NAMESPACE/POD[/UID]`, as the kubelet's.  `netns(pod uid)` is the path of its network namespace."""

    def __init__(self, find_pod: Callable[[str, str], Pod | None], netns: Callable[[str], str | None]) -> None:
        self._find_pod, self._netns = find_pod, netns

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            pod = check_uid(request, self._find_pod(request.match_info["namespace"], request.match_info["pod"]))
            netns = self._netns(pod.metadata.uid)
            if netns is None:
                raise Refused(500, f"pod {pod.metadata.name} is not running")
            check_upgrade(request, (PROTOCOL,), required=True)
        except Refused as refused:
            return refused.response
        socket = web.WebSocketResponse(
            protocols=(PROTOCOL,), compress=False, max_msg_size=MESSAGE_LIMIT_BYTES, timeout=2.0
        )
        await socket.prepare(request)
        meta = pod.metadata
        await PortForward(socket, netns, f"{meta.name}_{meta.namespace}, uid {meta.uid}").run()
        return socket


class PortForward:
    """One client's connection."""

    def __init__(
        self, socket: web.WebSocketResponse, netns: str, pod: str, *, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._socket, self._netns, self._pod, self._idle_seconds = socket, netns, pod, idle_seconds
        self._decoder, self._encoder = spdy.Decoder(), spdy.Encoder()
        self._streams: dict[int, Stream] = {}
        self._newest = 0
        self._halves: dict[tuple[str, str], Stream] = {}  # (port, requestID) -> the stream that waits for its other
        self._forwards: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        try:
            while (data := await self._receive()) is not None:
                for frame in self._decoder.feed(data):
                    await self._take(frame)
        except (spdy.SpdyError, ConnectionError) as error:
            _log.info("port-forward ended", extra=fields(pod=self._pod, cause=error))
        finally:
            for task in self._forwards:
                task.cancel()
            await asyncio.gather(*self._forwards, return_exceptions=True)
            try:
                async with asyncio.timeout(2.0):
                    await self._socket.close()
            except TimeoutError:
                _log.info("port-forward client does not read", extra=fields(pod=self._pod))

    async def _receive(self) -> bytes | None:
        """The next bytes of the SPDY connection; None at its end or after the idle time."""
        try:
            message = await self._socket.receive(timeout=self._idle_seconds if not self._forwards else None)
        except TimeoutError:
            return None
        return message.data if message.type is WSMsgType.BINARY else None

    async def _take(self, frame: spdy.Frame) -> None:
        if isinstance(frame, spdy.Data):
            stream = self._streams.get(frame.stream_id)
            if stream is not None:  # else: of a stream that has ended, its last bytes are under way
                await stream.feed(frame.data, fin=frame.fin)
        elif isinstance(frame, spdy.SynStream):
            await self._open(frame)
        elif isinstance(frame, spdy.RstStream):
            stream = self._streams.get(frame.stream_id)
            if stream is not None:
                self._forget(stream)
        elif isinstance(frame, spdy.Ping):
            await self._send(self._encoder.ping(frame.ping_id))

    async def _open(self, frame: spdy.SynStream) -> None:
        if frame.stream_id % 2 == 0 or frame.stream_id <= self._newest:
            raise spdy.SpdyError(f"stream {frame.stream_id} after {self._newest}")
        self._newest = frame.stream_id
        kind, port = frame.headers.get("streamtype", ""), frame.headers.get("port", "")
        number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
        if kind not in ("error", "data") or not 0 < number <= 0xFFFF or len(self._streams) >= STREAMS_LIMIT:
            await self._send(self._encoder.rst_stream(frame.stream_id, spdy.REFUSED_STREAM))
            return
        stream = self._streams[frame.stream_id] = Stream(frame.stream_id, kind)
        await self._send(self._encoder.syn_reply(frame.stream_id))
        if frame.fin:
            await stream.feed(b"", fin=True)
        stream.key = (port, frame.headers.get("requestid", ""))
        await self._drop_old_halves()
        other = self._halves.get(stream.key)
        if other is None or other.kind == kind:
            self._halves[stream.key] = stream
            return
        del self._halves[stream.key]
        pair = (stream, other) if kind == "data" else (other, stream)
        task = asyncio.create_task(self._forward(*pair, number), name=f"port-forward {number}")
        self._forwards.add(task)
        task.add_done_callback(self._forwards.discard)

    async def _drop_old_halves(self) -> None:
        while self._halves:
            oldest = next(iter(self._halves.values()))
            if not oldest.expired(self._loop.time(), PAIR_SECONDS):
                return
            self._forget(oldest)
            await self._send(self._encoder.rst_stream(oldest.stream_id, spdy.CANCEL))

    def _forget(self, stream: Stream) -> None:
        stream.reset()
        self._streams.pop(stream.stream_id, None)
        if self._halves.get(stream.key) is stream:
            del self._halves[stream.key]

    async def _forward(self, data: Stream, error: Stream, port: int) -> None:
        """One connection, to its end."""
        try:
            try:
                connection = await podports.connect(self._netns, port)
            except OSError as cause:
                text = f"error forwarding port {port} to pod {self._pod}: "
                text += f"failed to connect to localhost:{port} inside the pod: {_words(cause)}"
                await self._send(self._encoder.data(error.stream_id, text.encode(), fin=True))
                await self._send(self._encoder.data(data.stream_id, b"", fin=True))
                return
            with connection:
                await Forward(connection, data, lambda piece, fin: self._data(data, piece, fin)).run()
            if data.stalled:
                await self._send(self._encoder.rst_stream(data.stream_id, spdy.CANCEL))
            await self._send(self._encoder.data(error.stream_id, b"", fin=True))
        except ConnectionError:
            pass  # the client's: `run` ends too
        finally:
            for stream in (data, error):
                self._streams.pop(stream.stream_id, None)

    async def _data(self, stream: Stream, piece: bytes, fin: bool) -> None:
        await self._send(self._encoder.data(stream.stream_id, piece, fin=fin))

    async def _send(self, frame: bytes) -> None:
        """Waits while the client does not read."""
        await self._socket.send_bytes(frame)


def _words(error: OSError) -> str:
    return f"connect: {os.strerror(error.errno).lower()}" if error.errno else str(error) or type(error).__name__
