"""Node objects and PriorityClasses: what an administrator does to the cluster's own objects."""

from __future__ import annotations

from tests.conformance.api import Api, eventually
from tests.conformance.rows import row


@row(450, "Node, resource lifecycle")
def test_the_lifecycle_of_a_node(api: Api, unique: str) -> None:
    path, name, selector = "/api/v1/nodes", f"e2e-fake-node-{unique}", f"conformance-test={unique}"
    spec = {"unschedulable": True}
    made = api.create(path, {"metadata": {"name": name, "labels": {"conformance-test": unique}}, "spec": spec})
    assert made["metadata"]["name"] == name
    one = f"{path}/{name}"
    assert api.get(one)["metadata"]["uid"] == made["metadata"]["uid"]

    patched = api.patch(one, {"metadata": {"labels": {"patched": "true"}}}, "strategic")
    assert patched["metadata"]["labels"]["patched"] == "true"
    assert [item["metadata"]["name"] for item in api.items(path, f"{selector},patched=true")] == [name]

    updated = api.update(one, lambda obj: obj["metadata"]["labels"].update(updated="true"))
    assert updated["metadata"]["labels"]["updated"] == "true"
    api.delete(path, labelSelector=f"{selector},updated=true")
    eventually(lambda: api.items(path, selector) == [], "the node is gone")
    api.refused(404, "GET", one)


@row(408, "Scheduler, Verify PriorityClass endpoints")
def test_priorityclass_endpoints_are_operated_with_different_http_methods(api: Api, unique: str) -> None:
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    names = [f"p{number}-{unique}" for number in (1, 2)]
    for number, name in enumerate(names, 1):
        labels = {"conformance-test": unique}
        api.create(path, {"metadata": {"name": name, "labels": labels}, "value": number, "description": "first"})
    assert {item["metadata"]["name"] for item in api.items(path)} > set(names)

    one = f"{path}/{names[0]}"
    for kind in ("merge", "strategic"):
        api.patch(one, {"description": f"patched by {kind}"}, kind)
        assert api.get(one)["description"] == f"patched by {kind}"
    api.patch(one, [{"op": "replace", "path": "/description", "value": "patched by json"}], "json")
    api.update(one, lambda obj: obj.update(description=obj["description"] + " and updated"))
    assert api.get(one)["description"] == "patched by json and updated"

    merge = "application/merge-patch+json"
    status = api.refused(422, "PATCH", one, {"value": 10}, content_type=merge)
    assert (status["reason"], status["details"]["causes"][0]["field"]) == ("Invalid", "value")
    assert api.refused(422, "PUT", one, {**api.get(one), "value": 10})["reason"] == "Invalid"
    assert api.get(one)["value"] == 1
    api.delete(path, labelSelector=f"conformance-test={unique}")
    assert api.items(path, f"conformance-test={unique}") == []
