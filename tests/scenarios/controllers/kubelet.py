"""Scheduler and kubelets that are pretended: each pod has a task that plays its life, after delays from the seed.

A pod is bound, runs and is ready; a Job's pod ends after a while, well or badly as `fate` says; a deleted pod takes its
time to end.  They act on the history itself, so they never lag and are not part of what is tested.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import orjson

from apiserver.storage.store import Event
from tests.scenarios.controllers.transport import DirectConnection
from tests.scenarios.controllers.world import POD_PREFIX, Obj, owner_of
from tiphys.api.times import format_time
from tiphys.clock import Clock

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def always_well(_: Obj) -> bool:
    return True


class Kubelets:
    def __init__(self, connection: DirectConnection, clock: Clock, random: Random) -> None:
        self._connection = connection
        self._clock = clock
        self._random = random
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._bound = 0
        self.nodes: list[str] = []
        self.seconds = (0.1, 2.0)  # how long each step of a pod's life takes
        self.run_seconds = (1.0, 8.0)  # how long a Job's pod works
        self.fate: Callable[[Obj], bool] = always_well  # whether a Job's pod ends well
        self.broken: Callable[[Obj], bool] = lambda _: False  # whether a pod never gets ready

    async def register(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            name, ready = f"node-{number}", {"type": "Ready", "status": "True"}
            await self._send("POST", "/api/v1/nodes", {"metadata": {"name": name}})
            await self._send("PATCH", f"/api/v1/nodes/{name}/status", {"status": {"conditions": [ready]}}, STRATEGIC)
            # A new node is tainted until a controller that is not part of this sees it ready.
            await self._send("PATCH", f"/api/v1/nodes/{name}", {"spec": {"taints": None}}, MERGE)
            self.nodes.append(name)

    def check(self) -> None:
        """Raises what a pod's task died of."""
        for task in self._tasks.values():
            if task.done() and not task.cancelled():
                task.result()

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def see(self, event: Event) -> None:
        if not event.entry.key.startswith(POD_PREFIX) or event.deleted:
            return
        pod: Obj = orjson.loads(event.entry.value)
        uid, going = pod["metadata"]["uid"], "deletionTimestamp" in pod["metadata"]
        if event.previous is None:
            self._play(uid, self._live(pod))
        elif going and b'"deletionTimestamp"' not in event.previous.value:
            self._play(uid, self._end(pod))

    def _play(self, uid: str, part: Any) -> None:
        before = self._tasks.get(uid)
        if before is not None:
            before.cancel()
        self._tasks[uid] = asyncio.create_task(part, name=f"pod {uid}")

    async def _live(self, pod: Obj) -> None:
        path = _path(pod)
        await self._pause()
        node = self._node_for(pod)
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        await self._send("POST", f"{path}/binding", {"metadata": {"name": pod["metadata"]["name"]}, "target": target})
        await self._pause()
        if self.broken(pod):
            return
        await self._patch(pod, self._running())
        if (owner_of(pod) or {}).get("kind") == "Job":
            await asyncio.sleep(self._random.uniform(*self.run_seconds))
            await self._patch(pod, self._ended("Succeeded" if self.fate(pod) else "Failed"))

    async def _end(self, pod: Obj) -> None:
        await self._pause()
        if pod.get("status", {}).get("phase") in ("Pending", "Running") and (owner_of(pod) or {}).get("kind") == "Job":
            await self._patch(pod, self._ended("Failed"))
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        await self._send("DELETE", _path(pod), options)

    def _running(self) -> Obj:
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": format_time(self._clock.now())}
        return {"phase": "Running", "conditions": [ready], "startTime": format_time(self._clock.now())}

    def _ended(self, phase: str) -> Obj:
        ready = {"type": "Ready", "status": "False", "lastTransitionTime": format_time(self._clock.now())}
        return {"phase": phase, "conditions": [ready]}

    def _node_for(self, pod: Obj) -> str:
        """A DaemonSet's pod says where it must go; others go round."""
        affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
        required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
        for term in required.get("nodeSelectorTerms", ()):
            for field in term.get("matchFields", ()):
                return str(field["values"][0])
        self._bound += 1
        return self.nodes[self._bound % len(self.nodes)]

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.uniform(*self.seconds))

    async def _patch(self, pod: Obj, status: Obj) -> None:
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        await self._send("PATCH", f"{_path(pod)}/status", body, STRATEGIC)

    async def _send(self, method: str, path: str, body: Obj, content_type: str = "application/json") -> None:
        headers = {"Content-Type": content_type}
        answer = await self._connection.send(method, path, body=orjson.dumps(body), headers=headers)
        assert answer.status < 300 or answer.status in (404, 409), answer.body.decode()


def _path(pod: Obj) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
