"""The keys and the first start of the API server, once for all scenarios."""

from __future__ import annotations

import pytest

from tests.scenarios.controllers.controlplane import Base, make_base


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_base(tmp_path_factory.mktemp("controlplane"))
