"""Watches through a running server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def fresh(cluster: Cluster, name: str) -> str:
    await cluster.must("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return f"/api/v1/namespaces/{name}/configmaps"


def config_map(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


def pod(name: str, node: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i:1"}]}}


def seen(event: dict[str, Any]) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"].get("name", "")


async def test_a_watch_from_a_list_sees_every_change_once(cluster: Cluster) -> None:
    base = await fresh(cluster, "w1")
    listed = await cluster.must("GET", base)
    version = listed["metadata"]["resourceVersion"]
    await cluster.must("POST", base, config_map("a"))
    async with cluster.watch(f"{base}?watch=true&resourceVersion={version}") as events:
        assert seen(await events.next()) == ("ADDED", "a")
        patch = {"data": {"k": "v"}}
        await cluster.must("PATCH", f"{base}/a", patch, content_type="application/merge-patch+json")
        changed = await events.next()
        assert seen(changed) == ("MODIFIED", "a") and changed["object"]["data"] == {"k": "v"}
        await cluster.must("DELETE", f"{base}/a")
        gone = await events.next()
        assert seen(gone) == ("DELETED", "a")
        assert int(gone["object"]["metadata"]["resourceVersion"]) > int(
            changed["object"]["metadata"]["resourceVersion"]
        )


async def test_a_watch_without_a_version_begins_with_what_is_there(cluster: Cluster) -> None:
    base = await fresh(cluster, "w2")
    await cluster.must("POST", base, config_map("a"))
    async with cluster.watch(f"{base}?watch=true") as events:
        assert seen(await events.next()) == ("ADDED", "a")


async def test_a_watch_list_ends_its_beginning_with_a_marked_bookmark(cluster: Cluster) -> None:
    base = await fresh(cluster, "w3")
    await cluster.must("POST", base, config_map("a"))
    query = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    async with cluster.watch(f"{base}?{query}") as events:
        assert seen(await events.next()) == ("ADDED", "a")
        mark = await events.next()
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        await cluster.must("POST", base, config_map("b"))
        assert seen(await events.next()) == ("ADDED", "b")
    missing = await cluster.request("GET", f"{base}?watch=true&sendInitialEvents=true")
    assert missing.status == 422


async def test_an_object_enters_and_leaves_a_selected_view(cluster: Cluster) -> None:
    base = await fresh(cluster, "w4")
    merge = "application/merge-patch+json"
    await cluster.must("POST", base, config_map("a", app="no"))
    async with cluster.watch(f"{base}?watch=true&labelSelector=app%3Dyes") as events:
        await cluster.must("PATCH", f"{base}/a", {"metadata": {"labels": {"app": "yes"}}}, content_type=merge)
        assert seen(await events.next()) == ("ADDED", "a")
        await cluster.must("PATCH", f"{base}/a", {"metadata": {"labels": {"app": "no"}}}, content_type=merge)
        assert seen(await events.next()) == ("DELETED", "a")


async def test_a_watch_ends_when_its_time_is_up(cluster: Cluster) -> None:
    base = await fresh(cluster, "w5")
    async with cluster.watch(f"{base}?watch=true&timeoutSeconds=1") as events:
        assert await events.ended()


async def test_a_watch_from_before_the_compaction_is_told_410_in_the_stream(cluster: Cluster) -> None:
    base = await fresh(cluster, "w6")
    made = await cluster.must("POST", base, config_map("a"))
    version = made["metadata"]["resourceVersion"]
    resource = cluster.server.resources.cache.resource("/registry/core/configmaps/")
    for number in range(3):
        await cluster.must("POST", base, config_map(f"b{number}"))
    resource.load(iter(list(resource._items)), int(version) + 2)  # what the cache does when it had to list again
    async with cluster.watch(f"{base}?watch=true&resourceVersion={version}") as events:
        error = await events.next()
        assert error["type"] == "ERROR" and error["object"]["code"] == 410
        assert error["object"]["reason"] == "Expired"
        assert error["object"]["message"].startswith(f"too old resource version: {version} (")
        assert await events.ended()


async def test_a_watch_can_show_tables(cluster: Cluster) -> None:
    base = await fresh(cluster, "w7")
    await cluster.must("POST", base, config_map("a"))
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    async with cluster.watch(f"{base}?watch=true", Accept=accept) as events:
        first = await events.next()
        assert first["object"]["kind"] == "Table" and first["object"]["columnDefinitions"]
        await cluster.must("POST", base, config_map("b"))
        assert not (await events.next())["object"]["columnDefinitions"]


async def test_the_old_watch_paths_are_watches_of_a_list_a_namespace_and_one_object(cluster: Cluster) -> None:
    base = await fresh(cluster, "w8")
    made = await cluster.must("POST", base, config_map("a"))
    version = made["metadata"]["resourceVersion"]
    paths = {
        "/api/v1/watch/configmaps": ["a", "b"],
        "/api/v1/watch/namespaces/w8/configmaps": ["a", "b"],
        "/api/v1/watch/namespaces/w8/configmaps/b": ["b"],
    }
    await cluster.must("POST", base, config_map("b"))
    for path, names in paths.items():
        async with cluster.watch(f"{path}?resourceVersion={int(version) - 1}&watch=false") as events:
            for name in names:
                assert seen(await events.next()) == ("ADDED", name), path
    async with cluster.watch("/api/v1/watch/namespaces/w8") as events:
        assert seen(await events.next()) == ("ADDED", "w8")
    async with cluster.watch("/apis/rbac.authorization.k8s.io/v1/watch/clusterroles/view") as events:
        assert seen(await events.next()) == ("ADDED", "view")


async def test_the_old_watch_paths_take_no_other_method_and_no_subresource(cluster: Cluster) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        refused = await cluster.request(method, "/api/v1/watch/namespaces/default/configmaps/a", {})
        assert refused.status == 405, (method, refused.body)
    assert (await cluster.request("GET", "/api/v1/watch/namespaces/default/pods/a/status")).status in (404, 405)
    assert (await cluster.request("GET", "/api/v1/watch/nothings")).status == 404


async def test_a_watcher_of_one_object_hears_of_nothing_else(cluster: Cluster) -> None:
    base = await fresh(cluster, "w9")
    await cluster.must("POST", base, config_map("mine"))
    query = f"{base}?watch=true&fieldSelector=metadata.name%3Dmine"
    merge = "application/merge-patch+json"
    async with cluster.watch(query) as events:
        assert seen(await events.next()) == ("ADDED", "mine")
        for number in range(5):
            await cluster.must("POST", base, config_map(f"other-{number}"))
        await cluster.must("PATCH", f"{base}/mine", {"data": {"k": "v"}}, content_type=merge)
        assert seen(await events.next()) == ("MODIFIED", "mine")


async def test_a_watch_of_the_pods_of_a_node_hears_when_one_comes_and_goes(cluster: Cluster) -> None:
    await cluster.must("POST", "/api/v1/namespaces/default/pods", pod("bound", "n1"))
    await cluster.must("POST", "/api/v1/namespaces/default/pods", pod("elsewhere", "n2"))
    async with cluster.watch("/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dn1") as events:
        assert seen(await events.next()) == ("ADDED", "bound")
        await cluster.must("POST", "/api/v1/namespaces/default/pods", pod("second", "n1"))
        assert seen(await events.next()) == ("ADDED", "second")
        now = {"gracePeriodSeconds": 0}
        await cluster.must("DELETE", "/api/v1/namespaces/default/pods/elsewhere", now)
        await cluster.must("DELETE", "/api/v1/namespaces/default/pods/bound", now)
        assert seen(await events.next()) == ("DELETED", "bound")
