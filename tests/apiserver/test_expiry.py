"""Events go an hour after their last write."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from apiserver.registry.expiry import Expiry
from tests.apiserver.cluster import Cluster
from tiphys.clock import SystemClock

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = "/api/v1/namespaces/default/events"


class Later(SystemClock):
    """The time some seconds from now."""

    def __init__(self, seconds: int) -> None:
        self._ahead = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._ahead


async def test_an_event_is_gone_after_an_hour_and_other_objects_stay(cluster: Cluster) -> None:
    involved = {"kind": "Pod", "name": "p", "namespace": "default"}
    await cluster.must("POST", EVENTS, {"metadata": {"name": "e"}, "involvedObject": involved, "reason": "R"})
    resources = cluster.server.resources
    await Expiry(resources, Later(3500)).step()
    assert (await cluster.request("GET", f"{EVENTS}/e")).status == 200
    await Expiry(resources, Later(3700)).step()
    assert (await cluster.request("GET", f"{EVENTS}/e")).status == 404
    assert (await cluster.request("GET", "/api/v1/namespaces/default")).status == 200
