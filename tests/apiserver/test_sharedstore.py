"""Two kinds that show the same objects: events in both groups, autoscalers in both versions."""

from __future__ import annotations

import pytest

from tests.apiserver.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")
NEW = "/apis/events.k8s.io/v1/namespaces/default/events"
CORE = "/api/v1/namespaces/default/events"
V1, V2 = (f"/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers" for version in ("v1", "v2"))


def core_event(name: str) -> dict[str, object]:
    involved = {"kind": "Pod", "namespace": "default", "name": "p"}
    return {"metadata": {"name": name}, "involvedObject": involved, "reason": "Seen", "message": "a", "type": "Normal"}


async def test_an_event_of_the_core_group_is_watched_in_the_other(cluster: Cluster) -> None:
    version = (await cluster.must("GET", NEW))["metadata"]["resourceVersion"]
    async with cluster.watch(f"{NEW}?watch=true&resourceVersion={version}") as events:
        made = await cluster.must("POST", CORE, core_event("shared"))
        seen = await events.next()
        assert (seen["type"], seen["object"]["apiVersion"]) == ("ADDED", "events.k8s.io/v1")
        assert seen["object"]["note"] == "a" and "message" not in seen["object"]
        assert seen["object"]["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        await cluster.must("PATCH", f"{CORE}/shared", {"message": "b"}, content_type="application/merge-patch+json")
        assert (await events.next())["object"]["note"] == "b"
        await cluster.must("DELETE", f"{NEW}/shared")
        assert (await events.next())["type"] == "DELETED"
    assert (await cluster.request("GET", f"{CORE}/shared")).status == 404


async def test_events_are_selected_by_the_fields_of_their_own_group(cluster: Cluster) -> None:
    await cluster.must("POST", CORE, core_event("selected"))
    for path, field in ((CORE, "involvedObject.name"), (NEW, "regarding.name")):
        for name, count in (("p", 1), ("other", 0)):
            found = await cluster.must("GET", f"{path}?fieldSelector={field}%3D{name},metadata.name%3Dselected")
            assert len(found["items"]) == count
    await cluster.must("DELETE", f"{CORE}/selected")


async def test_an_autoscaler_is_kept_once_and_shown_in_two_versions(cluster: Cluster) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5, "targetCPUUtilizationPercentage": 60}
    made = await cluster.must("POST", V1, {"metadata": {"name": "web"}, "spec": spec})
    assert made["spec"] == spec
    shown = await cluster.must("GET", f"{V2}/web")
    assert shown["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 60}
    assert shown["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    change = {"spec": {"maxReplicas": 7}}
    await cluster.must("PATCH", f"{V2}/web", change, content_type="application/merge-patch+json")
    await cluster.must("PATCH", f"{V1}/web", {"spec": {"minReplicas": 2}}, content_type="application/merge-patch+json")
    for path in (V1, V2):
        found = await cluster.must("GET", f"{path}/web")
        assert (found["spec"]["minReplicas"], found["spec"]["maxReplicas"]) == (2, 7)
    assert (await cluster.must("GET", f"{V1}/web"))["spec"] == {**spec, "minReplicas": 2, "maxReplicas": 7}
    await cluster.must("DELETE", f"{V1}/web")
    assert (await cluster.request("GET", f"{V2}/web")).status == 404
