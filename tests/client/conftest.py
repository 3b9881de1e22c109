"""Fixtures: a certificate authority per run, an API server and an admin's client per test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.client.server import config_of, make_pki, running_server
from tiphys.client.config import ClientConfig
from tiphys.client.rest import Client


@pytest.fixture(scope="session")
def pki_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest_asyncio.fixture
async def admin_config(pki_dir: Path, tmp_path: Path) -> AsyncIterator[ClientConfig]:
    async with running_server(pki_dir, tmp_path) as port:
        yield config_of(pki_dir, port)


@pytest_asyncio.fixture
async def client(admin_config: ClientConfig) -> AsyncIterator[Client]:
    async with Client(admin_config) as client:
        yield client
