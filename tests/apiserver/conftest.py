"""One API server per test module: every test uses names of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.apiserver.cluster import Cluster, running_cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    data_dir: Path = tmp_path_factory.mktemp("apiserver")
    async with running_cluster(data_dir) as running:
        account = {"metadata": {"name": "default"}}
        await running.must("POST", "/api/v1/namespaces/default/serviceaccounts", account)
        yield running
