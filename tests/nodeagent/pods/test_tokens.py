"""Service account tokens in volumes are renewed well before they end, and only then."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from nodeagent.pods.tokens import ServiceAccountTokens, renew_after_seconds
from nodeagent.volumes.payload import TokenRequest
from tests.client.conftest import admin_config, client, pki_dir
from tests.controllers.running import default_account
from tiphys.api.core.pod import Pod
from tiphys.client.rest import Client
from tiphys.clock import SystemClock

__all__ = ["admin_config", "client", "pki_dir"]


class ShiftedClock(SystemClock):
    """Real time, and what a test adds to it."""

    added_seconds = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.added_seconds)

    def monotonic(self) -> float:
        return super().monotonic() + self.added_seconds


@pytest.mark.parametrize(("life_seconds", "expected"), [(600, 480), (3600, 2880), (10 * 86400, 86400)])
def test_a_token_is_renewed_after_four_fifths_of_its_life_or_a_day(life_seconds: int, expected: float) -> None:
    issued = SystemClock().now()
    assert renew_after_seconds(issued, issued + timedelta(seconds=life_seconds)) == expected


async def test_a_pod_keeps_its_token_until_it_is_due(client: Client) -> None:
    await default_account(client)
    spec = {"containers": [{"name": "c", "image": "i"}]}
    pod = await client.create(Pod.model_validate({"metadata": {"name": "p", "namespace": "default"}, "spec": spec}))
    clock, request = ShiftedClock(), TokenRequest("", 600)
    woken: list[str] = []
    tokens = ServiceAccountTokens(client, clock, woken.append)
    first = (await tokens.get(pod, {request}))[request]
    clock.added_seconds = 470
    assert (await tokens.get(pod, {request}))[request] == first
    clock.added_seconds = 490
    second = (await tokens.get(pod, {request}))[request]
    assert second != first
    tokens.forget(pod.metadata.uid)
    assert woken == []
