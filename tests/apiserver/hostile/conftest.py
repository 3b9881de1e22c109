"""One server process per module; after each test it must still be healthy and have had no fault."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.apiserver.hostile.target import Target, running_target

BODY_SECONDS = 2.0
IDLE_SECONDS = 4.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    flags = ["--body-seconds", str(BODY_SECONDS), "--idle-seconds", str(IDLE_SECONDS)]
    async with running_target(tmp_path_factory.mktemp("target"), flags) as target:
        account = {"metadata": {"name": "default"}}
        await target.must("POST", "/api/v1/namespaces/default/serviceaccounts", account)
        yield target


@pytest_asyncio.fixture(loop_scope="module")
async def target(shared: Target) -> AsyncIterator[Target]:
    yield shared
    await shared.healthy()
