"""One cluster for all tests of unmodified clients; every test uses names of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.running import RunningCluster, running_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    with running_cluster(tmp_path_factory.mktemp("clients")) as running:
        yield running
