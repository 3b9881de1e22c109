"""Running controllers in this process against a real API server, and playing the kubelet by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from controllers.manager import Runnable
from tests.client.server import eventually
from tests.controllers.objects import template
from tiphys.api.apps.deployment import Deployment
from tiphys.api.apps.replicaset import ReplicaSet
from tiphys.api.core.pod import Pod
from tiphys.client.controller import Environment
from tiphys.client.errors import ApiError
from tiphys.client.events import EventRecorder
from tiphys.client.informers import Informers
from tiphys.client.rest import Client


@asynccontextmanager
async def controllers(client: Client, *factories: Callable[[Environment], Runnable]) -> AsyncIterator[None]:
    """The controllers run until the block ends, each as its own account; one that ends by itself fails the test."""
    async with Informers(client) as informers:
        events = EventRecorder(client, "test")
        environment = Environment(client, informers, events, own_identities=True)
        running = [factory(environment) for factory in factories]
        informers.start()
        tasks = [asyncio.ensure_future(controller.run()) for controller in running]
        await informers.wait_synced()
        try:
            yield
        finally:
            ended = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await events.stop()
            for task in ended:
                task.result()


async def default_account(client: Client, namespace: str = "default") -> None:
    """Pods are refused in a namespace without its default ServiceAccount."""
    await client.request(
        "POST",
        f"/api/v1/namespaces/{namespace}/serviceaccounts",
        body=b'{"metadata":{"name":"default"}}',
        headers={"Content-Type": "application/json"},
    )


def web(replicas: int = 3, image: str = "app:1", **spec: Any) -> Deployment:
    return Deployment.model_validate(
        {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "template": template(image),
                **spec,
            },
        }
    )


async def pods(client: Client, image: str = "") -> list[Pod]:
    found = (await client.list(Pod, "default")).items
    return [pod for pod in found if not image or pod.spec.containers[0].image == image]


async def sizes(client: Client) -> dict[str, int]:
    """Image to spec.replicas of its ReplicaSet."""
    found = (await client.list(ReplicaSet, "default")).items
    return {rs.spec.template.spec.containers[0].image: rs.spec.replicas or 0 for rs in found}


async def make_ready(client: Client, *chosen: Pod) -> None:
    """What a kubelet reports of a pod that runs."""
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}]
    for pod in chosen:
        status = {"phase": "Running", "conditions": conditions}
        await client.patch(Pod, pod.metadata.name, "default", {"status": status}, subresource="status")


async def finish_deletions(client: Client) -> None:
    """What a kubelet does when a pod's containers have stopped."""
    for pod in await pods(client):
        if pod.metadata.deletionTimestamp:
            try:
                await client.delete(Pod, pod.metadata.name, "default", grace_period_seconds=0)
            except ApiError as error:
                assert error.not_found


async def wait_for_pods(client: Client, image: str, count: int) -> list[Pod]:
    async def there() -> bool:
        return len(await pods(client, image)) == count

    await eventually(there, f"{count} pods of {image}")
    return await pods(client, image)


async def deployment(client: Client) -> Deployment:
    return await client.get(Deployment, "web", "default")


async def wait_for_status(client: Client, what: str, holds: Callable[[Deployment], bool]) -> Deployment:
    async def there() -> bool:
        return holds(await deployment(client))

    await eventually(there, what)
    return await deployment(client)
