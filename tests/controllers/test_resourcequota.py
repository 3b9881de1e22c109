"""Resource quotas: what is counted, and that it is right again after whatever happened."""

from typing import Any

import pytest

from controllers.replicaset import ReplicaSetController
from controllers.resourcequota import ResourceQuotaController, count, kinds_of, lowers, same
from tests.client.server import eventually
from tests.controllers.objects import template
from tests.controllers.running import controllers, default_account
from tiphys.api.apps.replicaset import ReplicaSet
from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.pod import Pod
from tiphys.api.core.resourcequota import ResourceQuota
from tiphys.client.errors import ApiError
from tiphys.client.rest import Client


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pods", ("", "pods")),
        ("requests.nvidia.com/gpu", ("", "pods")),
        ("count/deployments.apps", ("apps", "deployments")),
        ("count/pods", ("", "pods")),
        ("count/crons.stable.example.com", ("stable.example.com", "crons")),
        ("services.nodeports", ("", "services")),
        ("gold.storageclass.storage.k8s.io/requests.storage", ("", "persistentvolumeclaims")),
        ("requests.storage", ("", "persistentvolumeclaims")),
        ("secrets", ("", "secrets")),
    ],
)
def test_a_name_says_which_objects_are_counted(name: str, kind: tuple[str, str]) -> None:
    assert kinds_of([name]) == {kind}


def pod(cpu: str = "100m", phase: str = "Running", **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}} if cpu else {}}
    return {"metadata": {}, "spec": {"containers": [container], **spec}, "status": {"phase": phase}}


POD = ("", "pods")


@pytest.mark.parametrize(
    ("spec", "objects", "used"),
    [
        ({"hard": {"pods": "5", "requests.cpu": "1"}}, [], {"pods": "0", "requests.cpu": "0"}),
        (
            {"hard": {"pods": "5", "requests.cpu": "1", "memory": "4Gi"}},
            [(POD, pod()), (POD, pod()), (POD, pod(phase="Succeeded"))],
            {"pods": "2", "requests.cpu": "200m", "memory": "2Gi"},
        ),
        ({"hard": {"count/pods": "5"}}, [(POD, pod(phase="Failed"))], {"count/pods": "1"}),
        ({"hard": {"pods": "5"}, "scopes": ["BestEffort"]}, [(POD, pod()), (POD, pod(""))], {"pods": "1"}),
        (
            {"hard": {"pods": "5"}, "scopes": ["Terminating"]},
            [(POD, pod()), (POD, pod(activeDeadlineSeconds=9))],
            {"pods": "1"},
        ),
        (
            {"hard": {"services.nodeports": "3", "count/replicasets.apps": "2"}},
            [
                (("", "services"), {"metadata": {}, "spec": {"type": "NodePort", "ports": [{}, {}]}}),
                (("apps", "replicasets"), {"metadata": {}}),
            ],
            {"services.nodeports": "2", "count/replicasets.apps": "1"},
        ),
    ],
)
def test_what_is_used_is_the_sum_of_the_objects_a_quota_is_about(
    spec: dict[str, Any], objects: list[Any], used: dict[str, str]
) -> None:
    assert count({"spec": spec}, objects) == used


def test_numbers_are_compared_and_not_their_spelling() -> None:
    assert same({"cpu": "1000m"}, {"cpu": "1"}) and not same({"cpu": "1"}, {"cpu": "2"}) and not same({}, {"cpu": "0"})
    assert (
        lowers({"cpu": "1"}, {"cpu": "999m"})
        and not lowers({"cpu": "1"}, {"cpu": "1000m"})
        and not lowers({}, {"a": "1"})
    )


def quota(name: str = "q", **hard: str) -> ResourceQuota:
    named = {key.replace("__", "/").replace("_", "."): value for key, value in hard.items()}
    return ResourceQuota.model_validate({"metadata": {"name": name, "namespace": "default"}, "spec": {"hard": named}})


async def wait_for_used(client: Client, **used: str) -> None:
    wanted = {key.replace("__", "/").replace("_", "."): value for key, value in used.items()}

    async def so() -> bool:
        return (await client.get(ResourceQuota, "q", "default")).status.used == wanted

    await eventually(so, f"used is {wanted}")


async def test_a_replicaset_gets_as_many_pods_as_the_quota_allows_and_the_rest_when_there_is_room(
    client: Client,
) -> None:
    await default_account(client)
    async with controllers(client, ReplicaSetController, ResourceQuotaController):
        await client.create(quota(pods="2"))
        await wait_for_used(client, pods="0")
        wanted = {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template()},
        }
        await client.create(ReplicaSet.model_validate(wanted))

        async def failure() -> bool:
            status = (await client.get(ReplicaSet, "web", "default")).status
            return status.replicas == 2 and [one.reason for one in status.conditions] == ["FailedCreate"]

        await eventually(failure, "two pods and a condition that says why not three")
        await wait_for_used(client, pods="2")
        await client.patch(ResourceQuota, "q", "default", {"spec": {"hard": {"pods": "3"}}})

        async def complete() -> bool:
            return len((await client.list(Pod, "default")).items) == 3

        await eventually(complete, "three pods")
        await wait_for_used(client, pods="3")
        await client.patch(ReplicaSet, "web", "default", {"spec": {"replicas": 0}})
        await wait_for_used(client, pods="0")


async def test_a_young_quota_counts_old_objects_of_any_kind_and_follows_them(client: Client) -> None:
    old = [{"metadata": {"name": f"old-{number}", "namespace": "default"}} for number in range(2)]
    for one in old:
        await client.create(ConfigMap.model_validate(one))
    async with controllers(client, ResourceQuotaController):
        await client.create(quota(configmaps="3", count__configmaps="3", resourcequotas="2"))
        await wait_for_used(client, configmaps="2", count__configmaps="2", resourcequotas="1")
        await client.create(ConfigMap.model_validate({"metadata": {"name": "new", "namespace": "default"}}))
        with pytest.raises(ApiError, match="exceeded quota: q"):
            await client.create(ConfigMap.model_validate({"metadata": {"name": "surplus", "namespace": "default"}}))
        await client.delete(ConfigMap, "old-0", "default")
        await wait_for_used(client, configmaps="2", count__configmaps="2", resourcequotas="1")
        await client.patch(
            ResourceQuota, "q", "default", {"status": {"hard": {"configmaps": "99"}}}, subresource="status"
        )

        async def put_back() -> bool:
            return (await client.get(ResourceQuota, "q", "default")).status.hard.get("configmaps") == "3"

        await eventually(put_back, "status.hard is spec.hard")
