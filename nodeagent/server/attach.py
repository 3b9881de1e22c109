"""/attach: the streams of a container's own program over a WebSocket."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from nodeagent.runtime.interface import Runtime
from nodeagent.server.channels import ChannelSocket
from nodeagent.server.conversation import STALL_SECONDS, Wanted, converse
from nodeagent.server.streaming import Refused, check_uid, check_upgrade, flag, running_container
from tiphys.api.core.pod import Pod


class AttachRoute:
    """`/attach/NAMESPACE/POD[/UID]/CONTAINER?input=1&output=1&error=1&tty=1`, as the kubelet's."""

    def __init__(self, runtime: Runtime, find_pod: Callable[[str, str], Pod | None]) -> None:
        self._runtime, self._find_pod = runtime, find_pod

    async def handle(self, request: web.Request) -> web.StreamResponse:
        socket = ChannelSocket()
        try:
            stdin, stdout, stderr = (flag(request, name) for name in ("input", "output", "error"))
            if not (stdin or stdout or stderr):
                raise Refused(400, "you must specify at least 1 of stdin, stdout, stderr")
            pod = check_uid(request, self._find_pod(request.match_info["namespace"], request.match_info["pod"]))
            container = await running_container(self._runtime, pod, request.match_info["container"])
            check_upgrade(request)
        except Refused as refused:
            return refused.response
        await socket.open(request)
        wanted = Wanted(
            stdin and container.spec.stdin,
            stdout,
            stderr and not container.spec.terminal,
            stall_seconds=STALL_SECONDS,
        )
        await converse(socket, wanted, lambda: self._runtime.attach(container.id))
        return socket.response
