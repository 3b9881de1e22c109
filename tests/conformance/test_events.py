"""Events, in the old group and the new: one storage, two views."""

from __future__ import annotations

from tests.conformance.api import PATCHES, Api, Object, eventually
from tests.conformance.rows import row

LABEL = "testevent-constant"
MICRO = "2026-01-02T03:04:05.000006Z"


def core_event(name: str, namespace: str, label: str) -> Object:
    involved = {"kind": "Pod", "namespace": namespace, "name": "example", "apiVersion": "v1"}
    return {
        "metadata": {"name": name, "labels": {LABEL: label}},
        "message": "This is a test event",
        "reason": "Test",
        "type": "Normal",
        "count": 1,
        "involvedObject": involved,
        "source": {"component": "conformance"},
        "firstTimestamp": "2026-01-02T03:04:05Z",
        "lastTimestamp": "2026-01-02T03:04:05Z",
    }


def new_event(name: str, namespace: str, label: str) -> Object:
    return {
        "metadata": {"name": name, "labels": {LABEL: label}},
        "note": "This is a test event",
        "reason": "Test",
        "type": "Normal",
        "action": "Do",
        "reportingController": "example.com/conformance",
        "reportingInstance": "conformance-1",
        "eventTime": MICRO,
        "regarding": {"kind": "Pod", "namespace": namespace, "name": "example", "apiVersion": "v1"},
    }


def check_collection(api: Api, root: str, namespace: str, label: str, events: list[Object]) -> None:
    path, selector = f"{root}/namespaces/{namespace}/events", f"{LABEL}={label}"
    for event in events:
        api.create(path, event)
    assert len(api.items(path, selector)) == len(events) == 3
    api.delete(path, labelSelector=selector)
    eventually(lambda: api.items(path, selector) == [], "the events are gone")


@row(444, "New Event resource lifecycle, testing a list of events")
def test_events_api_deletes_a_collection_of_events(api: Api, namespace: str, unique: str) -> None:
    events = [new_event(f"example-{number}", namespace, unique) for number in range(3)]
    check_collection(api, "/apis/events.k8s.io/v1", namespace, unique, events)


@row(446, "Event, delete a collection")
def test_events_delete_a_collection_of_events(api: Api, namespace: str, unique: str) -> None:
    events = [core_event(f"example-{number}", namespace, unique) for number in range(3)]
    check_collection(api, "/api/v1", namespace, unique, events)


@row(445, "New Event resource lifecycle, testing a single event")
def test_events_api_fetches_patches_deletes_and_lists_an_event(api: Api, namespace: str, unique: str) -> None:
    root, selector = "/apis/events.k8s.io/v1", f"{LABEL}={unique}"
    path = f"{root}/namespaces/{namespace}/events"
    api.create(path, new_event("example", namespace, unique))
    for collection in (f"{root}/events", path):
        assert [item["metadata"]["name"] for item in api.items(collection, selector)] == ["example"]
    found = api.get(f"{path}/example")
    assert (found["eventTime"], found["regarding"]["name"]) == (MICRO, "example")
    old_path = f"/api/v1/namespaces/{namespace}/events"
    old = api.get(f"{old_path}/example")
    assert (old["message"], old["involvedObject"]["name"]) == ("This is a test event", "example")

    for collection, field in ((path, "reportingController"), (old_path, "reportingComponent")):
        chosen = api.items(collection, fieldSelector=f"{field}=example.com/conformance")
        assert [item["metadata"]["name"] for item in chosen] == ["example"]
        assert api.items(collection, fieldSelector=f"{field}=example.com/nobody") == []

    series = {"count": 2, "lastObservedTime": "2026-01-02T03:04:06.000007Z"}
    api.patch(f"{path}/example", {"series": series}, "strategic")
    assert api.get(f"{path}/example") == {**found, "series": series, "metadata": api.get(f"{path}/example")["metadata"]}
    series = {**series, "count": 100}
    api.update(f"{path}/example", lambda obj: obj.update(series=series))
    assert api.get(f"{path}/example")["series"] == series
    api.refused(422, "PATCH", f"{path}/example", {"note": "another"}, content_type=PATCHES["merge"])

    api.delete(f"{path}/example")
    for collection in (f"{root}/events", path):
        assert api.items(collection, selector) == []


@row(447, "Event, manage lifecycle of an Event")
def test_events_manage_the_lifecycle_of_an_event(api: Api, namespace: str, unique: str) -> None:
    path, selector = f"/api/v1/namespaces/{namespace}/events", f"{LABEL}={unique}"
    api.create(path, core_event("example", namespace, unique))
    listed = api.items("/api/v1/events", selector)
    assert [item["metadata"]["namespace"] for item in listed] == [namespace]

    api.patch(f"{path}/example", {"message": "This is a test event - patched"}, "strategic")
    assert api.get(f"{path}/example")["message"] == "This is a test event - patched"

    series = {"count": 100, "lastObservedTime": MICRO}
    api.update(f"{path}/example", lambda obj: obj.update(series=series))
    found = api.get(f"{path}/example")
    assert (found["series"], found["reason"]) == (series, "Test")
    api.delete(f"{path}/example")
    assert api.items("/api/v1/events", selector) == []
