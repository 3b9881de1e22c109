"""What pods refer to is watched while they refer to it, and what is said of them is said in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nodeagent.pods.node import Node
from nodeagent.pods.objects import ReferencedObjects
from nodeagent.pods.statuswriter import StatusWriter
from tests.apiserver.cluster import Cluster, running_cluster
from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.pod import Pod
from tiphys.client.kubeconfig import load_kubeconfig
from tiphys.client.rest import Client


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path) as running:
        account = {"metadata": {"name": "default"}}
        await running.must("POST", "/api/v1/namespaces/default/serviceaccounts", account)
        yield running


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Client]:
    async with Client(load_kubeconfig(str(cluster.kubeconfig()))) as client:
        yield client


async def test_pods_that_end_together_are_released_and_others_may_come(client: Client) -> None:
    for name in ("first", "second"):
        made = {"metadata": {"name": name, "namespace": "default"}, "data": {"key": name}}
        await client.create(ConfigMap.model_validate(made))
    objects = ReferencedObjects(client, lambda uid: None)
    await objects.data("a", "default", {"first"}, set())
    await objects.data("b", "default", {"second"}, set())
    await asyncio.gather(objects.release("a"), objects.release("b"))
    maps, _ = await objects.data("c", "default", {"first", "second"}, set())
    assert maps == {"first": {"key": b"first"}, "second": {"key": b"second"}}
    await objects.close()


@pytest.mark.parametrize(("surely", "expected"), [(True, ["exited", "restarted"]), (False, ["restarted"])])
async def test_a_status_that_must_be_seen_is_written_before_a_newer_one(
    cluster: Cluster, client: Client, surely: bool, expected: list[str]
) -> None:
    spec = {"containers": [{"name": "c", "image": "app:1"}]}
    body = {"metadata": {"name": "pod", "namespace": "default"}, "spec": spec}
    pod = await client.create(Pod.model_validate(body))
    seen: list[str] = []

    async def watch() -> None:
        version = pod.metadata.resourceVersion
        async for event in client.watch(Pod, "default", resource_version=version):
            seen.append(event.object.status.message if event.object else "")

    watching = asyncio.create_task(watch())
    writer = StatusWriter(cast(Node, SimpleNamespace(client=client)))
    for message, first in (("exited", surely), ("restarted", False)):
        status: dict[str, Any] = {**pod.status.to_dict(), "message": message}
        writer.put(pod, status, surely=first)
    await writer.flush()
    async with asyncio.timeout(20):
        while expected[-1] not in seen:
            await asyncio.sleep(0.02)
    watching.cancel()
    assert seen == expected
