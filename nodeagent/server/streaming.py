"""What exec, attach and port-forward share: which container or pod is meant, and who may not be upgraded.

What must stay true: every refusal comes before the upgrade and is the same without one, so a client that falls back to
another protocol still learns why.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from nodeagent.pods.mirrors import MIRROR_UID
from nodeagent.pods.node import find_container
from nodeagent.runtime.interface import ContainerStatus, Runtime
from nodeagent.server.channels import PROTOCOLS, is_websocket, offered
from tiphys.api.core.pod import Pod


class Refused(Exception):
    """`response` says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.response = web.Response(status=status, text=text)


def flag(request: web.Request, name: str) -> bool:
    """The kubelet reads exactly "1" as yes; what else conversion would accept is accepted too."""
    return request.query.get(name, "") in ("1", "true", "True", "t")


def check_uid(request: web.Request, pod: Pod | None) -> Pod:
    """The pod of the path.  Raises Refused when it is not here, or when it is another one of that name."""
    wanted = request.match_info.get("uid", "")
    known = ("", pod.metadata.uid, pod.metadata.annotations.get(MIRROR_UID)) if pod is not None else ()
    if pod is None or wanted not in known:
        raise Refused(404, "pod does not exist")
    return pod


async def running_container(runtime: Runtime, pod: Pod, name: str) -> ContainerStatus:
    """Raises Refused."""
    try:
        find_container(pod, name)
    except KeyError:
        raise Refused(404, f'container "{name}" not found in pod "{pod.metadata.name}"') from None
    for status in reversed(await runtime.list(pod.metadata.uid)):
        if status.spec.name == name and status.state == "running":
            return status
    raise Refused(500, f'container not found ("{name}")')


def check_upgrade(request: web.Request, protocols: Sequence[str] = PROTOCOLS, *, required: bool = False) -> None:
    """Raises Refused unless this is a WebSocket upgrade to one of `protocols` (or, if not `required`, to none)."""
    if not is_websocket(request):
        asked = request.headers.get("Upgrade", "") or "no upgrade"
        text = f"this server upgrades to WebSocket ({', '.join(protocols)}) only, the request asks for {asked}"
        raise Refused(400, text)
    names = offered(request)
    if not any(name in protocols for name in names) and (names or required):
        raise Refused(400, f"unable to negotiate a subprotocol: the client offers {names}, served are {protocols}")
