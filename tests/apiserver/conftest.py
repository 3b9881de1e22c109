"""One API server per test module: every test uses names of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.apiserver.cluster import Cluster, running_cluster
from tests.apiserver.faults import FAULTS

pytestmark = pytest.mark.asyncio(loop_scope="module")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "answers_500: this test means to see a 500")


@pytest.fixture(autouse=True)
def no_fault(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test is passed while the server failed behind its back."""
    FAULTS.clear()
    yield
    heard = FAULTS.copy()
    FAULTS.clear()
    assert not heard or request.node.get_closest_marker("answers_500"), heard


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    data_dir: Path = tmp_path_factory.mktemp("apiserver")
    async with running_cluster(data_dir) as running:
        account = {"metadata": {"name": "default"}}
        await running.must("POST", "/api/v1/namespaces/default/serviceaccounts", account)
        yield running
