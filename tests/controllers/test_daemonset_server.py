"""DaemonSets end to end against a real API server; the kubelet is played by hand."""

from controllers.daemonset import DaemonSetController
from controllers.daemonset_pods import node_of
from tests.client.server import eventually
from tests.controllers.objects import node
from tests.controllers.running import controllers, default_account, make_ready, pods
from tests.controllers.workloads import daemon_set
from tiphys.api.apps.controllerrevision import ControllerRevision
from tiphys.api.apps.daemonset import DaemonSet
from tiphys.api.core.node import Node
from tiphys.client.rest import Client


async def add_node(client: Client, name: str) -> None:
    """A node that has become ready: its first taint is gone."""
    await client.create(node(name))
    await client.patch(Node, name, "", {"spec": {"taints": None}})


async def on_nodes(client: Client, **images: str) -> None:
    """Wait until exactly these nodes have one pod each, of that image."""

    async def so() -> bool:
        found = {node_of(pod): pod.spec.containers[0].image for pod in await pods(client)}
        return found == images and len(await pods(client)) == len(images)

    await eventually(so, f"pods on {images}")


async def counts(client: Client, **fields: int) -> None:
    async def so() -> bool:
        now = (await client.get(DaemonSet, "agent", "default")).status
        return all(getattr(now, name) == value for name, value in fields.items())

    await eventually(so, f"{fields}")


async def test_pods_follow_the_nodes(client: Client) -> None:
    await default_account(client)
    await add_node(client, "n1")
    async with controllers(client, DaemonSetController):
        await client.create(daemon_set())
        await on_nodes(client, n1="app:1")
        await add_node(client, "n2")
        await on_nodes(client, n1="app:1", n2="app:1")
        await make_ready(client, *await pods(client))
        await counts(client, desiredNumberScheduled=2, numberReady=2, numberAvailable=2, updatedNumberScheduled=2)
        taints = [{"key": "mine", "effect": "NoExecute"}]
        await client.patch(Node, "n1", "", {"spec": {"taints": taints}})
        await on_nodes(client, n2="app:1")
        await counts(client, desiredNumberScheduled=1, currentNumberScheduled=1)
        await client.delete(Node, "n2")
        await on_nodes(client)


async def test_an_update_goes_from_node_to_node(client: Client) -> None:
    await default_account(client)
    for name in ("n1", "n2"):
        await add_node(client, name)
    async with controllers(client, DaemonSetController):
        await client.create(daemon_set())
        await on_nodes(client, n1="app:1", n2="app:1")
        await make_ready(client, *await pods(client))
        await counts(client, numberAvailable=2)
        image = {"containers": [{"name": "c", "image": "app:2"}]}
        patch = {"spec": {"template": {"spec": image}}}
        await client.patch(DaemonSet, "agent", "default", patch, patch_type="strategic")
        await on_nodes(client, n1="app:2", n2="app:1")
        await counts(client, updatedNumberScheduled=1, numberUnavailable=1)
        await make_ready(client, *[pod for pod in await pods(client) if node_of(pod) == "n1"])
        await on_nodes(client, n1="app:2", n2="app:2")
        revisions = (await client.list(ControllerRevision, "default")).items
        assert sorted(one.revision for one in revisions) == [1, 2]
        hashes = {one.revision: one.metadata.labels["controller-revision-hash"] for one in revisions}
        assert {pod.metadata.labels["controller-revision-hash"] for pod in await pods(client)} == {hashes[2]}


async def test_with_surge_the_old_pod_stays_until_the_new_one_is_ready(client: Client) -> None:
    await default_account(client)
    await add_node(client, "n1")
    async with controllers(client, DaemonSetController):
        await client.create(daemon_set(surge=1, unavailable=0))
        await on_nodes(client, n1="app:1")
        await make_ready(client, *await pods(client))
        await counts(client, numberAvailable=1)
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "app:2"}]}}}}
        await client.patch(DaemonSet, "agent", "default", patch, patch_type="strategic")

        async def both() -> bool:
            return sorted(pod.spec.containers[0].image for pod in await pods(client)) == ["app:1", "app:2"]

        await eventually(both, "the new pod beside the old one")
        assert await both()
        await make_ready(client, *await pods(client, "app:2"))
        await on_nodes(client, n1="app:2")
        await counts(client, numberAvailable=1, updatedNumberScheduled=1)
