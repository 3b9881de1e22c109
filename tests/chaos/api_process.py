"""API servers as processes that can be stopped, continued, killed and started again on their port, and their clients.

A client writes or watches through whichever server answers.  It knows no more than a Kubernetes client does: the last
resourceVersion it saw, and what 410 means.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import aiohttp

from tests.apiserver.cluster import tls_of
from tests.chaos.api_history import History, Key, Listed, Object, Told

ROOT = Path(__file__).parents[2]
BASE = "/api/v1/namespaces/default/configmaps"
SILENCE_SECONDS = 1.5  # then a client goes on elsewhere, and a write has an unknown outcome
WATCH_SECONDS = 1  # then a watcher comes again with its last resourceVersion
READY_SECONDS = 30.0
PAUSE_SECONDS = 0.05
LISTING_PAGE = 4

Refused = (aiohttp.ClientError, TimeoutError, ConnectionError)
_marks = itertools.count()


class ApiProcess:
    """One API server on a port of its own; `start` after `kill` serves there again."""

    def __init__(self, data_dir: Path, pki_dir: Path, store: str, *, compaction_seconds: float) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"https://127.0.0.1:{self._port}"
        self._log = data_dir / f"apiserver-{self._port}.log"
        self._words = [
            *("--data-dir", str(data_dir), "--pki-dir", str(pki_dir), "--store", store, "--port", str(self._port)),
            *("--compaction-seconds", str(compaction_seconds)),
        ]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "apiserver", *self._words, cwd=ROOT, stdout=log, stderr=log
            )

    def check(self) -> None:
        """Raises AssertionError with its last words when it ended by itself."""
        assert self._process is not None
        ended = self._process.returncode is not None
        assert not ended, f"the API server ended: {self._log.read_text()[-2000:]}"

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self.signal(signal.SIGKILL)
            await self._process.wait()


class Client:
    """Talks to any of `servers`; every call may go to another one."""

    def __init__(self, servers: list[ApiProcess], pki_dir: Path) -> None:
        connector = aiohttp.TCPConnector(ssl=tls_of(pki_dir, "admin"), limit=0)
        patience = aiohttp.ClientTimeout(None, sock_connect=SILENCE_SECONDS, sock_read=SILENCE_SECONDS)
        self.session = aiohttp.ClientSession(connector=connector, timeout=patience, read_bufsize=1 << 20)
        self._servers = servers

    @property
    def url(self) -> str:
        return random.choice(self._servers).url + BASE

    async def send(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        """(status, answer).  Raises one of `Refused` when there was none."""
        async with self.session.request(method, self.url + path, json=body) as answer:
            return answer.status, await answer.json()

    async def until_ready(self) -> None:
        """Every server serves."""
        async with asyncio.timeout(READY_SECONDS):
            for server in self._servers:
                while True:
                    server.check()
                    with contextlib.suppress(*Refused):
                        async with self.session.get(f"{server.url}/readyz") as answer:
                            if answer.status == 200:
                                break
                    await asyncio.sleep(PAUSE_SECONDS)


def object_of(found: dict[str, Any]) -> Object:
    metadata = found["metadata"]
    return Object(int(metadata["resourceVersion"]), metadata["uid"], found.get("data", {}).get("mark", ""))


async def write_for_ever(client: Client, history: History, keys: list[Key]) -> None:
    """Create, update and delete `keys`, which nobody else writes, and note every acknowledgement."""
    there: dict[Key, Object | None] = dict.fromkeys(keys)
    while True:
        key = random.choice(keys)
        known = there[key]
        try:
            if known is not None and random.random() < 0.25:
                await _delete(client, history, key, known)
                there[key] = None
            else:
                there[key] = await _put(client, history, key, known)
        except Refused:
            if known is not None:
                history.uncertain.add(key)
            there[key] = await _look(client, key)
        await asyncio.sleep(random.random() * 0.02)


async def _put(client: Client, history: History, key: Key, known: Object | None) -> Object:
    mark = str(next(_marks))
    body = {"metadata": {"name": key}, "data": {"mark": mark}}
    if known is None:
        status, answer = await client.send("POST", "", body)
    else:
        body["metadata"]["resourceVersion"] = str(known.revision)
        status, answer = await client.send("PUT", f"/{key}", body)
    if status >= 300:  # 409: an earlier attempt of ours had happened after all
        raise TimeoutError(answer)
    seen = object_of(answer)
    assert seen.mark == mark and (known is None or seen.uid == known.uid), (answer, known)
    assert seen.revision not in history.puts, f"revision {seen.revision} was given twice"
    history.puts[seen.revision] = (key, seen)
    return seen


async def _delete(client: Client, history: History, key: Key, known: Object) -> None:
    status, answer = await client.send("DELETE", f"/{key}", {"preconditions": {"uid": known.uid}})
    if status >= 300:
        raise TimeoutError(answer)
    history.deleted[known.uid] = key


async def _look(client: Client, key: Key) -> Object | None:
    """What is there, after a write whose outcome is unknown."""
    while True:
        with contextlib.suppress(*Refused):
            status, answer = await client.send("GET", f"/{key}")
            if status in (200, 404):
                return object_of(answer) if status == 200 else None
        await asyncio.sleep(PAUSE_SECONDS)


class Watcher:
    """Lists in pages, watches from there, comes again from its last resourceVersion, lists again after 410."""

    def __init__(self, client: Client, history: History) -> None:
        self._client = client
        self._log: list[Told | Listed] = []
        history.logs.append(self._log)
        self.position = 0
        self.expired = 0
        self.awake = asyncio.Event()
        self.awake.set()

    async def watch_for_ever(self) -> None:
        while True:
            await self.awake.wait()
            try:
                if not self.position:
                    await self._list()
                await self._watch()
            except (*Refused, json.JSONDecodeError):  # a killed server leaves half a line
                await asyncio.sleep(PAUSE_SECONDS)

    async def _list(self) -> None:
        objects: dict[Key, Object] = {}
        more = ""
        while True:
            status, answer = await self._client.send("GET", f"?limit={LISTING_PAGE}{more}")
            if status >= 300:
                raise TimeoutError(answer)  # 410 of a later page among them: from the start
            objects |= {found["metadata"]["name"]: object_of(found) for found in answer["items"]}
            if not answer["metadata"].get("continue"):
                break
            more = f"&continue={answer['metadata']['continue']}"
        self.position = int(answer["metadata"]["resourceVersion"])
        self._log.append(Listed(self.position, objects))

    async def _watch(self) -> None:
        query = f"?watch=true&resourceVersion={self.position}&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}"
        async with self._client.session.get(self._client.url + query) as answer:
            if answer.status != 200:
                raise TimeoutError(await answer.text())  # 504: this server has not come so far
            while self.awake.is_set() and (line := await answer.content.readline()):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    assert event["object"]["code"] == 410, event
                    self.expired += 1
                    self.position = 0
                    return
                self.position = int(event["object"]["metadata"]["resourceVersion"])
                if event["type"] != "BOOKMARK":
                    self._log.append(
                        Told(event["type"], event["object"]["metadata"]["name"], object_of(event["object"]))
                    )
