"""/exec: run a program in a container, its streams over a WebSocket."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from nodeagent.runtime.interface import Runtime
from nodeagent.runtime.streams import ExecRequest
from nodeagent.server.channels import ChannelSocket
from nodeagent.server.conversation import IDLE_SECONDS, Wanted, converse
from nodeagent.server.streaming import Refused, check_uid, check_upgrade, flag, running_container
from tiphys.api.core.pod import Pod


class ExecRoute:
    """`/exec/NAMESPACE/POD[/UID]/CONTAINER?command=..&input=1&output=1&error=1&tty=1`, as the kubelet's."""

    def __init__(
        self, runtime: Runtime, find_pod: Callable[[str, str], Pod | None], idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._runtime, self._find_pod, self._idle_seconds = runtime, find_pod, idle_seconds

    async def handle(self, request: web.Request) -> web.StreamResponse:
        socket = ChannelSocket()
        try:
            wanted, exec_request = read_options(request, self._idle_seconds)
            pod = check_uid(request, self._find_pod(request.match_info["namespace"], request.match_info["pod"]))
            container = await running_container(self._runtime, pod, request.match_info["container"])
            check_upgrade(request)
        except Refused as refused:
            return refused.response
        await socket.open(request)
        await converse(socket, wanted, lambda: self._runtime.exec(container.id, exec_request), exec_request.argv)
        return socket.response


def read_options(request: web.Request, idle_seconds: float = IDLE_SECONDS) -> tuple[Wanted, ExecRequest]:
    """Raises Refused."""
    argv = tuple(request.query.getall("command", []))
    stdin, stdout, stderr, terminal = (flag(request, name) for name in ("input", "output", "error", "tty"))
    if not argv:
        raise Refused(400, "you must specify at least one command argument")
    if not (stdin or stdout or stderr):
        raise Refused(400, "you must specify at least 1 of stdin, stdout, stderr")
    stderr = stderr and not terminal
    return Wanted(stdin, stdout, stderr, idle_seconds), ExecRequest(argv, stdin, stdout, stderr, terminal)
