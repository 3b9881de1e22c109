"""One webhook server per test module beside the API server of tests/apiserver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.apiserver.admission.webhookserver import WebhookServer, webhook_server


@pytest.fixture(scope="module")
def webhooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookServer]:
    with webhook_server(tmp_path_factory.mktemp("webhook"), "hooks.default.svc") as server:
        yield server
