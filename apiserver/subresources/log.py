"""pods/log: the lines of a container, streamed from the agent of its node.

What must stay true: which container and which node is decided here, from the pod as it is, never by the caller; the
agent sees our certificate and we check that its certificate is the cluster's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from apiserver.request import AnyResponse, Request, StreamingResponse
from apiserver.requestinfo import Query, first, integer
from apiserver.streaming.headers import is_websocket
from apiserver.streaming.messages import as_messages, check_handshake
from apiserver.subresources.kubelets import Agents
from apiserver.verbs import Scope
from tiphys.api.status import FieldError, StatusError, bad_request, invalid, invalid_object

Obj = dict[str, Any]

_PASSED = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream")
_CHUNK_BYTES = 64 * 1024
_CONNECT_SECONDS = 5


class Kubelets:
    """Connections to the agents."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents

    async def log(self, request: Request, scope: Scope) -> AnyResponse:
        stored = await scope.store.get(request.info.namespace, request.info.name)
        pod = stored.obj
        _check_options(request.query, pod["metadata"]["name"])
        container = choose_container(pod, first(request.query, "container"))
        if not is_websocket(request.headers):
            return await self._stream(pod, container, request)
        agreed = check_handshake(request.headers)
        return as_messages(await self._stream(pod, container, request), request.headers, agreed)

    async def _stream(self, pod: Obj, container: str, request: Request) -> StreamingResponse:
        node = pod["spec"].get("nodeName", "")
        if not node:
            return StreamingResponse(_nothing(), "text/plain")
        url = self._agents.address(node).url + _log_path(pod, container, request.query)
        return await self._open(url, request)

    async def _open(self, url: str, request: Request) -> StreamingResponse:
        """The agent's answer; its errors become ours."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False)
        try:
            answer = await session.get(url, ssl=self._agents.tls(), allow_redirects=False)
            if answer.status != 200:
                text = (await answer.content.read(4096)).decode("utf-8", "replace").strip()
                raise _from_agent(answer.status, text)
        except (aiohttp.ClientError, OSError) as error:
            await session.close()
            text = f'Get "{url}": {error}'
            raise StatusError(500, "InternalError", text, details={"causes": [{"message": text}]}) from None
        except BaseException:
            await session.close()
            raise
        return StreamingResponse(_lines(session, answer), "text/plain")


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


async def _lines(session: aiohttp.ClientSession, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.content.iter_any():
            yield chunk
    except aiohttp.ClientError:
        return  # the agent went away: what it sent has been passed on
    finally:
        answer.close()
        await session.close()


def _from_agent(status: int, text: str) -> StatusError:
    if status == 404:
        return StatusError(404, "NotFound", text or "the server could not find the requested resource", details={})
    if status == 400:
        return bad_request(text)
    return StatusError(status if 400 <= status < 600 else 500, "InternalError", text or "unknown", details={})


def _log_path(pod: Obj, container: str, query: Query) -> str:
    metadata = pod["metadata"]
    parts = [quote(part, safe="") for part in (metadata["namespace"], metadata["name"], container)]
    passed = [(name, first(query, name)) for name in _PASSED if first(query, name)]
    return "/containerLogs/" + "/".join(parts) + ("?" + urlencode(passed) if passed else "")


def choose_container(pod: Obj, asked: str) -> str:
    """The container whose log is meant.  Raises 400 in upstream's words."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    containers = [one["name"] for one in spec.get("containers", [])]
    init = [one["name"] for one in spec.get("initContainers", [])]
    ephemeral = [one["name"] for one in spec.get("ephemeralContainers", [])]
    if asked:
        if asked not in (*containers, *init, *ephemeral):
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(containers) == 1:
        return str(containers[0])
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
    if init:
        text += f" or one of the init containers: [{' '.join(init)}]"
    if ephemeral:
        text += f" or one of the ephemeral containers: [{' '.join(ephemeral)}]"
    raise bad_request(text)


def _check_options(query: Query, name: str) -> None:
    """Raises 422 on numbers that make no sense."""
    errors: list[FieldError] = []
    for key, least in (("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)):
        number = integer(query, key)
        if number is not None and number < least:
            errors.append(invalid(key, number, f"must be greater than {'or equal to ' if not least else ''}0"))
    if first(query, "sinceSeconds") and first(query, "sinceTime"):
        text = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        errors.append(FieldError("sinceSeconds", "FieldValueForbidden", text))
    if errors:
        raise invalid_object("", "PodLogOptions", name, errors)
