"""ResourceQuota: what fits is charged, what does not is refused, and two writers never both get the last of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.apiserver.admission.configured import config_map, create, new_namespace, until_cached
from tests.apiserver.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")
Object = dict[str, Any]


async def quota(cluster: Cluster, namespace: str, hard: Object, used: Object | None = None, **spec: Any) -> str:
    """A quota whose status says what is used, as the counting controller would (None: it has not yet)."""
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    made = await cluster.must("POST", path, {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}})
    if used is not None:
        made["status"] = {"hard": hard, "used": {**dict.fromkeys(hard, "0"), **used}}
        made = await cluster.must("PUT", f"{path}/q/status", made)
    await until_cached(cluster, made)
    return f"{path}/q"


async def used(cluster: Cluster, path: str) -> Object:
    found: Object = (await cluster.must("GET", path))["status"]["used"]
    return found


def pod(name: str, **resources: Object) -> Object:
    container = {"name": "c", "image": "i", "resources": resources}
    return {"metadata": {"name": name}, "spec": {"containers": [container]}}


async def pods_namespace(cluster: Cluster) -> str:
    namespace = await new_namespace(cluster)
    await cluster.must("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    return namespace


async def test_objects_are_charged_until_nothing_is_left(cluster: Cluster) -> None:
    namespace = await new_namespace(cluster)
    path = await quota(cluster, namespace, {"configmaps": "2", "count/configmaps": "9", "secrets": "1"}, {})
    query = f"/api/v1/namespaces/{namespace}/configmaps?dryRun=All"
    assert (await cluster.request("POST", query, config_map("dry"))).status == 201
    assert (await used(cluster, path))["configmaps"] == "0"
    for name in ("a", "b"):
        assert (await create(cluster, namespace, config_map(name))).status == 201
    refused = await create(cluster, namespace, config_map("c"))
    assert (refused.status, refused.json["reason"]) == (403, "Forbidden")
    text = "exceeded quota: q, requested: configmaps=1, used: configmaps=2, limited: configmaps=2"
    assert refused.json["message"] == f'configmaps "c" is forbidden: {text}'
    assert await used(cluster, path) == {"configmaps": "2", "count/configmaps": "2", "secrets": "0"}


async def test_writers_at_the_same_time_share_what_is_left(cluster: Cluster) -> None:
    namespace = await new_namespace(cluster)
    path = await quota(cluster, namespace, {"configmaps": "5"}, {})
    answers = await asyncio.gather(*(create(cluster, namespace, config_map(f"c{n}")) for n in range(20)))
    assert sorted(answer.status for answer in answers) == [201] * 5 + [403] * 15
    assert await used(cluster, path) == {"configmaps": "5"}


async def test_a_pod_must_say_what_a_quota_bounds_and_is_charged_for_it(cluster: Cluster) -> None:
    namespace = await pods_namespace(cluster)
    hard = {"pods": "5", "requests.cpu": "1", "limits.memory": "1Gi"}
    path = await quota(cluster, namespace, hard, {})
    refused = await create(cluster, namespace, pod("silent"), "pods")
    text = "failed quota: q: must specify limits.memory for: c; requests.cpu for: c"
    assert refused.json["message"] == f'pods "silent" is forbidden: {text}'
    resources = {"requests": {"cpu": "600m"}, "limits": {"memory": "512Mi"}}
    assert (await create(cluster, namespace, pod("one", **resources), "pods")).status == 201
    assert await used(cluster, path) == {"pods": "1", "requests.cpu": "600m", "limits.memory": "512Mi"}
    refused = await create(cluster, namespace, pod("two", **resources), "pods")
    text = "exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"
    assert refused.json["message"].endswith(text)


async def test_a_quota_that_nobody_has_counted_yet_refuses(cluster: Cluster) -> None:
    namespace = await new_namespace(cluster)
    await quota(cluster, namespace, {"configmaps": "5"})
    refused = await create(cluster, namespace, config_map())
    assert refused.json["message"].endswith("status unknown for quota: q, resources: configmaps")


async def test_a_scoped_quota_counts_only_its_pods(cluster: Cluster) -> None:
    namespace = await pods_namespace(cluster)
    path = await quota(cluster, namespace, {"pods": "1"}, {}, scopes=["Terminating"])
    assert (await create(cluster, namespace, pod("forever"), "pods")).status == 201
    assert await used(cluster, path) == {"pods": "0"}
    ending = pod("ending")
    ending["spec"]["activeDeadlineSeconds"] = 9
    assert (await create(cluster, namespace, ending, "pods")).status == 201
    ending["metadata"]["name"] = "ending-too"
    assert (await create(cluster, namespace, ending, "pods")).status == 403


async def test_a_service_is_charged_again_for_what_an_update_adds(cluster: Cluster) -> None:
    namespace = await new_namespace(cluster)
    path = await quota(cluster, namespace, {"services": "2", "services.nodeports": "1"}, {})
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"name": "a", "port": 80}]}}
    made = (await create(cluster, namespace, service, "services")).json
    assert await used(cluster, path) == {"services": "1", "services.nodeports": "0"}
    made["spec"]["type"] = "NodePort"
    address = f"/api/v1/namespaces/{namespace}/services/s"
    made = await cluster.must("PUT", address, made)
    assert await used(cluster, path) == {"services": "1", "services.nodeports": "1"}
    made["spec"]["ports"].append({"name": "b", "port": 81})
    assert (await cluster.request("PUT", address, made)).status == 403
