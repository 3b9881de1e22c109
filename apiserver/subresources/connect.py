"""What exec, attach and portforward share: find the agent, dial it, and let the bytes through.

What must stay true: pod, container and node come from the pod as it is stored now, and the pod's uid is part of what is
asked of the agent; a caller needs `create` whatever the method, because an upgraded GET starts something.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from apiserver.request import AnyResponse, Request, Response, UpgradeResponse
from apiserver.streaming.addresses import Target
from apiserver.streaming.dial import DialError, dial
from apiserver.streaming.headers import is_websocket, websocket_headers
from apiserver.subresources.kubelets import Agents
from tiphys.api.status import StatusError, bad_request, internal_error

Obj = dict[str, Any]
Options = list[tuple[str, str]]


async def connect_to_agent(
    agents: Agents, request: Request, pod: Obj, verb: str, container: str, options: Options
) -> AnyResponse:
    """`verb`: the first segment of the agent's path; `container` "" where it takes none."""
    metadata, node = pod["metadata"], pod["spec"].get("nodeName", "")
    if not node:
        raise bad_request(f"pod {metadata['name']} does not have a host assigned")
    address = agents.address(node)
    segments = [verb, metadata["namespace"], metadata["name"], metadata["uid"], *([container] if container else [])]
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    if options:
        path += "?" + urlencode(options)
    # Without an upgrade that we speak, the agent is asked all the same: it knows better reasons to refuse than that.
    upgrade = is_websocket(request.headers)
    headers = websocket_headers(request.headers, extensions=False) if upgrade else _plain(request)
    try:
        answer = await dial(Target(address.host, address.port, agents.tls(), trusted=True), path, headers)
    except DialError as error:
        raise internal_error(f"error dialing backend: {error}") from None
    if isinstance(answer, UpgradeResponse):
        return answer
    raise refusal(answer)


def _plain(request: Request) -> list[tuple[str, str]]:
    asked = request.headers.get("Upgrade", "")
    return [("Connection", "close"), *([("Upgrade", asked)] if asked.isascii() and asked.isprintable() else [])]


def refusal(answer: Response) -> StatusError:
    """The agent's text as a Status."""
    text = answer.body.decode("utf-8", "replace").strip() or "unknown"
    if answer.status == 404:
        return StatusError(404, "NotFound", text, details={})
    if answer.status == 400:
        return bad_request(text)
    return StatusError(answer.status if answer.status >= 400 else 502, "InternalError", text, details={})
