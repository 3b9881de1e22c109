"""The agent is killed at each of its calls outside, one by one: nothing runs twice, leaks, or is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.apiserver.cluster import Cluster, running_cluster
from tests.nodeagent.pods.afterlife import Death, MortalAgent, World
from tiphys.api.core.event import Event
from tiphys.api.core.pod import Pod
from tiphys.client.errors import ApiError
from tiphys.client.kubeconfig import load_kubeconfig
from tiphys.client.rest import Client

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
AT_ONCE = 8
DEADLINE_SECONDS = 40.0
CALLS_AT_LEAST = 60  # a life with fewer calls is not the one this test is about


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with running_cluster(tmp_path_factory.mktemp("api")) as cluster:
        await prepare(cluster)
        async with Client(load_kubeconfig(str(cluster.kubeconfig()))) as client:
            yield client


async def prepare(cluster: Cluster) -> None:
    account = {"metadata": {"name": "default"}}
    await cluster.must("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    settings = {"metadata": {"name": "settings"}, "data": {"colour": "blue"}}
    await cluster.must("POST", "/api/v1/namespaces/default/configmaps", settings)


def pod(name: str) -> Pod:
    """An init container, one that runs for good, one that fails once; two volumes."""
    mounts = [{"name": "settings", "mountPath": "/settings"}, {"name": "scratch", "mountPath": "/scratch"}]
    small = {"requests": {"cpu": "10m"}}
    spec: dict[str, Any] = {
        "nodeName": name,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "initContainers": [{"name": "first", "image": "img:1", "volumeMounts": mounts}],
        "containers": [
            {"name": "steady", "image": "img:1", "volumeMounts": mounts, "resources": small},
            {"name": "fails-once", "image": "img:1"},
        ],
        "volumes": [{"name": "settings", "configMap": {"name": "settings"}}, {"name": "scratch", "emptyDir": {}}],
    }
    return Pod.model_validate({"metadata": {"name": name, "namespace": "default"}, "spec": spec})


async def find(client: Client, name: str) -> Pod | None:
    try:
        return await client.get(Pod, name, "default")
    except ApiError as error:
        assert error.not_found
        return None


def settled(found: Pod) -> bool:
    """Ready, after the one restart, with what the resize asked for."""
    statuses = {status.name: status for status in found.status.containerStatuses}
    ready = any(c.type == "Ready" and c.status == "True" for c in found.status.conditions)
    if not ready or statuses["fails-once"].restartCount != 1:
        return False
    resources = statuses["steady"].resources
    return resources is not None and resources.requests == found.spec.containers[0].resources.requests


async def life(client: Client, name: str, world: World, death: Death) -> list[str]:
    """A pod is made, runs, is resized, is deleted; the agent that `death` kills is followed by another one."""
    agents = [MortalAgent(world, name, client, death)]
    stop: set[asyncio.Task[Any]] = set()

    async def guard() -> None:
        await death.died.wait()
        await agents[-1].stop()
        agents.append(MortalAgent(world, name, client, Death()))
        await agents[-1].start()

    await client.create(pod(name))
    guarding = asyncio.create_task(guard())
    stop.add(guarding)
    try:
        await agents[0].start()
        await until(lambda: holds(client, name, settled), f"{name} runs: {world.starts} {death.calls[-3:]}")
        patch = {"spec": {"containers": [{"name": "steady", "resources": {"requests": {"cpu": "20m"}}}]}}
        await client.patch(Pod, name, "default", patch, patch_type="strategic", subresource="resize")
        await until(lambda: holds(client, name, settled), f"{name} is resized: {death.calls[-3:]}")
        events = await client.list(Event, "default", field_selector=f"involvedObject.name={name},reason=BackOff")
        assert events.items == []  # the first restart is never held back, whoever begins it
        observed = await client.get(Pod, name, "default")
        await client.delete(Pod, name, "default")

        async def over() -> bool:
            return await find(client, name) is None and world.left() == []

        await until(over, f"{name} is gone: {world.left()} {death.calls[-3:]}")
        assert observed.status.containerStatuses[0].restartCount == 0
    finally:
        if death.died.is_set() and not guarding.done():
            await asyncio.wait([guarding], timeout=DEADLINE_SECONDS)
        guarding.cancel()
        await asyncio.gather(guarding, return_exceptions=True)
        await agents[-1].stop()
    return world.starts


async def holds(client: Client, name: str, test: Any) -> bool:
    found = await find(client, name)
    return found is not None and bool(test(found))


async def until(probe: Any, what: str) -> None:
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while not await probe():
        assert asyncio.get_running_loop().time() < deadline, f"not within {DEADLINE_SECONDS:.0f} s: {what}"
        await asyncio.sleep(0.02)


async def play(client: Client, root: Path, number: int, death: Death) -> Death:
    name = f"life-{number}"
    world = World(root / name, {"first": [0], "fails-once": [1]})
    starts = await life(client, name, world, death)
    what = (death.name, death.count, death.died.is_set(), starts)
    assert starts.count("steady") == 1, what
    assert starts.count("first") == 1, what
    assert starts.count("fails-once") == 2, what
    return death


async def test_an_agent_that_dies_at_any_call_is_followed_by_one_that_knows_everything(
    client: Client, tmp_path: Path
) -> None:
    whole = (await play(client, tmp_path, 0, Death())).calls
    assert len(whole) >= CALLS_AT_LEAST, whole
    deaths = [Death(name, whole[: index + 1].count(name)) for index, name in enumerate(whole)]
    for start in range(0, len(deaths), AT_ONCE):
        together = enumerate(deaths[start : start + AT_ONCE], start + 1)
        await asyncio.gather(*(play(client, tmp_path, number, death) for number, death in together))
    spared = [death.name for death in deaths if death.count == 1 and not death.died.is_set()]
    assert spared == []  # how often a call is made may differ from life to life, that it is made may not
