"""A cluster with one real node, shared by the tests of a module, and a client of it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from nodeagent.volumes.teardown import mounts_below
from tests.nodeagent.cluster import NODE, Cluster, eventually
from tiphys.api.core.node import Node
from tiphys.api.core.serviceaccount import ServiceAccount
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.rest import Client


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        left = cluster.stop()
        print(cluster.log_of("nodeagent")[-6000:])
    assert left == []
    assert mounts_below(cluster.root) == []


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Client]:
    async with cluster.client() as client:

        async def ready() -> bool:
            try:
                node = await client.get(Node, NODE)
            except (ApiError, ConnectionFailed):
                return False
            return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)

        await eventually(ready, f"the node is Ready: {cluster.log_of('nodeagent')[-3000:]}")
        await ensure_account(client)
        yield client


async def ensure_account(client: Client) -> None:
    """No controllers run here: the account that pods of the namespace use is made by hand."""
    account = ServiceAccount.model_validate({"metadata": {"name": "default", "namespace": "default"}})
    try:
        await client.create(account)
    except ApiError as error:
        assert error.already_exists
