"""Watches on ConfigMaps: where they start, what they select, and the order that all of them see."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.conformance.api import Api, Object
from tests.conformance.rows import row

LABEL = "watch-this-configmap"


def configmap(name: str, label: str) -> Object:
    return {"metadata": {"name": name, "labels": {LABEL: label}}}


def touch(api: Api, path: str, value: str) -> Object:
    return api.patch(path, {"data": {"mutation": value}})


@row(96, "watch-configmaps-closed-and-restarted")
def test_watchers_restart_from_the_last_resource_version_observed(api: Api, namespace: str) -> None:
    path, selector = f"/api/v1/namespaces/{namespace}/configmaps", f"{LABEL}=restarted"
    with api.watch(path, labelSelector=selector) as watch:
        api.create(path, configmap("example", "restarted"))
        touch(api, f"{path}/example", "1")
        watch.must_be("ADDED", "example")
        last = watch.must_be("MODIFIED", "example")["metadata"]["resourceVersion"]
    touch(api, f"{path}/example", "2")
    api.delete(f"{path}/example")
    with api.watch(path, labelSelector=selector, resourceVersion=last) as watch:
        assert watch.must_be("MODIFIED", "example")["data"]["mutation"] == "2"
        watch.must_be("DELETED", "example")


@row(97, "watch-configmaps-from-resource-version")
def test_watchers_start_from_a_specific_resource_version(api: Api, namespace: str) -> None:
    path, selector = f"/api/v1/namespaces/{namespace}/configmaps", f"{LABEL}=from-version"
    api.create(path, configmap("example", "from-version"))
    first = touch(api, f"{path}/example", "1")["metadata"]["resourceVersion"]
    touch(api, f"{path}/example", "2")
    api.delete(f"{path}/example")
    with api.watch(path, labelSelector=selector, resourceVersion=first) as watch:
        assert watch.must_be("MODIFIED", "example")["data"]["mutation"] == "2"
        watch.must_be("DELETED", "example")


@row(98, "watch-configmaps-with-multiple-watchers")
def test_watchers_observe_add_update_and_delete_of_matching_configmaps_only(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    with (
        api.watch(path, labelSelector=f"{LABEL}=A") as watch_a,
        api.watch(path, labelSelector=f"{LABEL}=B") as watch_b,
        api.watch(path, labelSelector=f"{LABEL} in (A,B)") as watch_both,
    ):
        for name, own in (("a", watch_a), ("b", watch_b)):
            api.create(path, configmap(name, name.upper()))
            touch(api, f"{path}/{name}", "1")
            touch(api, f"{path}/{name}", "2")
            api.delete(f"{path}/{name}")
            for watch in (own, watch_both):  # each next event is the expected one: nothing else came in between
                watch.must_be("ADDED", name)
                assert watch.must_be("MODIFIED", name)["data"]["mutation"] == "1"
                assert watch.must_be("MODIFIED", name)["data"]["mutation"] == "2"
                assert watch.must_be("DELETED", name)["data"]["mutation"] == "2"
        api.create(path, configmap("last-b", "B"))
        api.create(path, configmap("last-a", "A"))
        watch_a.must_be("ADDED", "last-a")
        watch_b.must_be("ADDED", "last-b")
        watch_both.must_be("ADDED", "last-b")
        watch_both.must_be("ADDED", "last-a")


@row(99, "watch-configmaps-label-changed")
def test_watchers_observe_a_deletion_when_the_object_stops_meeting_the_selector(api: Api, namespace: str) -> None:
    path, selector = f"/api/v1/namespaces/{namespace}/configmaps", f"{LABEL}=wanted"

    def relabel(label: str) -> None:
        api.patch(f"{path}/example", {"metadata": {"labels": {LABEL: label}}})

    with api.watch(path, labelSelector=selector) as watch:
        api.create(path, configmap("example", "wanted"))
        touch(api, f"{path}/example", "1")
        relabel("other")
        watch.must_be("ADDED", "example")
        assert watch.must_be("MODIFIED", "example")["data"]["mutation"] == "1"
        watch.must_be("DELETED", "example")
        touch(api, f"{path}/example", "2")  # not seen
        relabel("wanted")
        assert watch.must_be("ADDED", "example")["data"]["mutation"] == "2"
        touch(api, f"{path}/example", "3")
        api.delete(f"{path}/example")
        assert watch.must_be("MODIFIED", "example")["data"]["mutation"] == "3"
        watch.must_be("DELETED", "example")


@row(100, "watch-consistency")
def test_watchers_receive_events_on_concurrent_watches_in_the_same_order(api: Api, namespace: str) -> None:
    path, count = f"/api/v1/namespaces/{namespace}/configmaps", 30
    start = api.get(path)["metadata"]["resourceVersion"]
    stop = threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            name = f"churn-{number % 5}"
            if number % 15 < 5:
                api.create(path, configmap(name, "churn"))
            elif number % 15 < 10:
                touch(api, f"{path}/{name}", str(number))
            else:
                api.delete(f"{path}/{name}")
            number += 1

    def versions(after: str) -> list[str]:
        """The next `count` resource versions that a watch from `after` reports."""
        with api.watch(path, resourceVersion=after) as watch:
            return [watch.next()[1]["metadata"]["resourceVersion"] for _ in range(count)]

    with ThreadPoolExecutor(max_workers=count + 1) as pool:
        writer = pool.submit(churn)
        try:
            first = versions(start)
            others = [pool.submit(versions, version) for version in first[: count // 2]]
            longest = versions(first[0])
            found = [other.result() for other in others]
        finally:
            stop.set()
            writer.result()
    assert sorted(first, key=int) == first and len(set(first)) == count
    for offset, sequence in enumerate(found):
        known = [*first[:1], *longest]
        overlap = known[offset + 1 :]
        assert sequence[: len(overlap)] == overlap, f"the watch from event {offset} saw another order"
