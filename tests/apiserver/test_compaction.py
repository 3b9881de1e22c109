"""What clients are told when the store has forgotten: pages, watches, deletions at the very edge; on both stores."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from apiserver.storage.compactor import Compactor
from apiserver.storage.watchcache import WatchCache
from tests.apiserver.cluster import Cluster, running_cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "etcd"])
async def forgetful(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    assert request.param == "sqlite" or shutil.which("etcd"), "this test needs etcd: apt-get install etcd-server"
    directory: Path = tmp_path_factory.mktemp("forgetful")
    async with running_cluster(directory, store=request.param) as running:
        yield running


def cache_of(cluster: Cluster) -> WatchCache:
    cache = cluster.server._cache
    assert cache is not None
    return cache


async def compact(cluster: Cluster) -> int:
    """What the server's own compactor does in two intervals; the revision of the compaction."""
    compactor, cache = Compactor(cache_of(cluster)), cache_of(cluster)
    await cache.wait_until(await cache.store.revision())
    revision = cache.revision
    await compactor.step()
    await compactor.step()
    return revision


async def fresh(cluster: Cluster, name: str, count: int = 0) -> str:
    await cluster.must("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    base = f"/api/v1/namespaces/{name}/configmaps"
    for number in range(count):
        await cluster.must("POST", base, {"metadata": {"name": f"m{number}"}})
    return base


def names(answer: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in answer["items"]]


async def test_a_page_behind_the_compaction_is_gone_and_its_token_goes_on_inconsistently(forgetful: Cluster) -> None:
    base = await fresh(forgetful, "pages", 6)
    first = await forgetful.must("GET", f"{base}?limit=2")
    token = first["metadata"]["continue"]
    second = await forgetful.must("GET", f"{base}?limit=2&continue={token}")
    assert names(second) == ["m2", "m3"]
    await forgetful.must("DELETE", f"{base}/m3")
    await forgetful.must("POST", base, {"metadata": {"name": "m2b"}})
    still = await forgetful.must("GET", f"{base}?limit=2&continue={token}")
    assert names(still) == ["m2", "m3"], "the page is the state at the first page's revision"
    assert still["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    await compact(forgetful)
    gone = await forgetful.request("GET", f"{base}?limit=2&continue={token}")
    assert (gone.status, gone.json["reason"]) == (410, "Expired")
    assert gone.json["message"].startswith("The provided continue parameter is too old to display a consistent list")
    fresh_token = gone.json["metadata"]["continue"]
    assert json.loads(base64.urlsafe_b64decode(fresh_token + "=="))["rv"] == -1
    rest = await forgetful.must("GET", f"{base}?limit=2&continue={fresh_token}")
    assert names(rest) == ["m2", "m2b"], "from the same place, as it is now"
    assert int(rest["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    last = await forgetful.must("GET", f"{base}?continue={rest['metadata']['continue']}")
    assert names(last) == ["m4", "m5"]


async def test_an_exact_list_behind_the_compaction_is_gone(forgetful: Cluster) -> None:
    base = await fresh(forgetful, "exact", 2)
    version = (await forgetful.must("GET", base))["metadata"]["resourceVersion"]
    query = f"{base}?resourceVersion={version}&resourceVersionMatch=Exact"
    await forgetful.must("POST", base, {"metadata": {"name": "later"}})
    assert names(await forgetful.must("GET", query)) == ["m0", "m1"]
    await compact(forgetful)
    gone = await forgetful.request("GET", query)
    assert (gone.status, gone.json["reason"]) == (410, "Expired")


async def test_a_watch_sees_a_deletion_at_the_compacted_revision_or_is_told_410(forgetful: Cluster) -> None:
    """Debian's etcd forgets such a deletion and says nothing when a watch starts there."""
    base = await fresh(forgetful, "edge", 2)
    before = (await forgetful.must("GET", base))["metadata"]["resourceVersion"]
    await forgetful.must("DELETE", f"{base}/m0")
    await compact(forgetful)
    async with forgetful.watch(f"{base}?watch=true&resourceVersion={before}") as events:
        first = await events.next()
        assert (first["type"], first["object"]["metadata"]["name"]) == ("DELETED", "m0"), "the ring still has it"
    await cache_of(forgetful).reload()  # a server that starts now: no event of its own from before
    async with forgetful.watch(f"{base}?watch=true&resourceVersion={before}") as events:
        error = await events.next()
        assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await events.ended()


async def test_an_open_watch_is_told_410_when_the_server_lost_history(forgetful: Cluster) -> None:
    base = await fresh(forgetful, "open", 1)
    async with forgetful.watch(f"{base}?watch=true") as events:
        assert (await events.next())["type"] == "ADDED"
        await cache_of(forgetful).reload()
        error = await events.next()
        assert (error["type"], error["object"]["code"]) == ("ERROR", 410)
        assert await events.ended()


async def test_a_watch_from_the_compacted_revision_itself_goes_on(forgetful: Cluster) -> None:
    base = await fresh(forgetful, "here", 1)
    revision = await compact(forgetful)
    async with forgetful.watch(f"{base}?watch=true&resourceVersion={revision}") as events:
        await forgetful.must("POST", base, {"metadata": {"name": "next"}})
        assert (await events.next())["object"]["metadata"]["name"] == "next"


async def test_a_version_that_has_not_happened_is_a_timeout_with_a_cause(forgetful: Cluster) -> None:
    base = await fresh(forgetful, "future")
    for query in ("resourceVersion=99999999", "watch=true&resourceVersion=99999999"):
        early = await forgetful.request("GET", f"{base}?{query}")
        assert early.status == 504, early.body
        assert early.json["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
