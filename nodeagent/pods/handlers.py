"""What probes and lifecycle hooks do: run a program in the container, ask over HTTP, open a TCP connection.

Each returns (success, output); the output is the text for the event.  Answers are read up to 10 KiB.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from nodeagent.runtime.interface import Runtime, RuntimeFailure
from tiphys.api.core.container import Container

if TYPE_CHECKING:
    from tiphys.api.core.probes import HTTPGetAction

REDIRECTED = "Probe terminated redirects, Response body"
_BODY_LIMIT_BYTES = 10 * 1024
_MOST_REDIRECTS = 10


async def run_exec(runtime: Runtime, container_id: str, command: list[str], timeout_seconds: float) -> tuple[bool, str]:
    """Exit code 0 is success."""
    try:
        result = await runtime.exec_sync(
            container_id, command, timeout_seconds=timeout_seconds, output_limit_bytes=_BODY_LIMIT_BYTES
        )
    except RuntimeFailure as error:
        return False, str(error)
    output = (result.stdout + result.stderr).decode("utf-8", "replace")
    if result.timed_out:
        return False, f"command timed out: {' '.join(command)!r} timed out after {timeout_seconds:g}s"
    return result.exit_code == 0, output


async def http_get(
    session: aiohttp.ClientSession,
    action: HTTPGetAction,
    container: Container,
    pod_ip: str,
    timeout_seconds: float,
    *,
    agent: str = "kube-probe/1.36",
    follow: bool = False,
) -> tuple[bool, str]:
    """A status of 200 to 399 is success; certificates are not verified, as upstream.

    `follow`: redirects on the same host are followed; one to another host is success, with REDIRECTED in the text.
    """
    port = port_number(action.port, container)
    if port == 0:
        return False, f"couldn't find port: {action.port}"
    scheme = (action.scheme or "HTTP").lower()
    path = action.path if action.path.startswith("/") else "/" + action.path
    host = action.host or pod_ip
    shown = f"[{host}]" if ":" in host else host
    headers = _headers(action, agent)
    url = f"{scheme}://{shown}:{port}{path}"
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _get(session, URL(url), headers, _MOST_REDIRECTS if follow else 0)
    except TimeoutError:
        return False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    except aiohttp.ClientConnectorError as error:
        return False, f'Get "{url}": dial tcp {shown}:{port}: connect: {_cause(error.os_error)}'
    except (aiohttp.ClientError, ValueError) as error:
        return False, f'Get "{url}": {error}'


def _headers(action: HTTPGetAction, agent: str) -> CIMultiDict[str]:
    """The action's own, several of one name where it says so; ours where it says nothing, none where it says ""."""
    headers: CIMultiDict[str] = CIMultiDict((header.name, header.value) for header in action.httpHeaders)
    for name, value in (("User-Agent", agent), ("Accept", "*/*")):
        headers.setdefault(name, value)
        if headers[name] == "":
            del headers[name]
    headers["Connection"] = "close"
    return headers


async def _get(session: aiohttp.ClientSession, url: URL, headers: CIMultiDict[str], left: int) -> tuple[bool, str]:
    async with session.get(
        url, headers=headers, ssl=False, allow_redirects=False, skip_auto_headers=("User-Agent", "Accept")
    ) as response:
        body = (await response.content.read(_BODY_LIMIT_BYTES)).decode("utf-8", "replace")
        target = response.headers.get("Location", "")
        if response.status in (301, 302, 303, 307, 308) and target and left:
            following = url.join(URL(target))
            if following.host == url.host:
                response.close()
                return await _get(session, following, headers, left - 1)
            return True, f"{REDIRECTED}: {body}"
    if 200 <= response.status < 400:
        return True, body
    return False, f"HTTP probe failed with statuscode: {response.status}"


async def tcp_connect(host: str, port: int, timeout_seconds: float) -> tuple[bool, str]:
    """A connection that opens is success."""
    shown = f"[{host}]" if ":" in host else host
    try:
        async with asyncio.timeout(timeout_seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return False, f"dial tcp {shown}:{port}: i/o timeout"
    except OSError as error:
        return False, f"dial tcp {shown}:{port}: connect: {_cause(error)}"
    writer.close()
    return True, ""


def _cause(error: OSError) -> str:
    """The system's words, as Go prints them: asyncio puts its own into `strerror`."""
    return (os.strerror(error.errno) if error.errno else str(error)).lower()


def port_number(port: Any, container: Container) -> int:
    """A number, or the number of the container's port of that name; 0 when there is none."""
    text = str(port)
    if text.isdigit():
        return int(text)
    return next((p.containerPort for p in container.ports if p.name == text), 0)
