"""Rolling when configuration changes: what counts, and a Deployment that does."""

from typing import Any

from controllers.leasegarbage import expires_in_seconds
from controllers.rolloutonchange import ASKED, HASH, DeploymentRolloutOnChange, content_hash, references
from tests.client.server import eventually
from tests.controllers.objects import NOW, ago
from tests.controllers.running import controllers, web
from tiphys.api.apps.deployment import Deployment
from tiphys.api.coordination.lease import Lease
from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.pod import PodSpec
from tiphys.client.rest import Client


def test_everything_a_template_reads_counts() -> None:
    spec: dict[str, Any] = {
        "volumes": [
            {"name": "a", "configMap": {"name": "c1"}},
            {"name": "b", "secret": {"secretName": "s1"}},
            {"name": "c", "projected": {"sources": [{"configMap": {"name": "c2"}}, {"secret": {"name": "s2"}}]}},
        ],
        "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "c3"}}]}],
        "containers": [
            {
                "name": "c",
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "k"}}},
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c4", "key": "k"}}},
                    {"name": "C", "value": "plain"},
                ],
            }
        ],
    }
    names = {name for _, name in references(PodSpec.model_validate(spec))}
    assert names == {"c1", "c2", "c3", "c4", "s1", "s2", "s3"}


def test_the_hash_is_of_content_and_not_of_order() -> None:
    one = {("ConfigMap", "a"): {"x": "1", "y": "2"}, ("Secret", "a"): {}}
    other = {("Secret", "a"): {}, ("ConfigMap", "a"): {"y": "2", "x": "1"}}
    assert content_hash(one) == content_hash(other) != content_hash({**one, ("Secret", "a"): {"z": ""}})


async def test_a_deployment_rolls_when_its_configmap_changes_and_not_when_it_is_touched(client: Client) -> None:
    def settings(value: str) -> dict[str, Any]:
        return {"metadata": {"name": "settings", "namespace": "default"}, "data": {"level": value}}

    wanted = web(1).to_dict()
    wanted["spec"]["template"]["spec"]["volumes"] = [{"name": "v", "configMap": {"name": "settings"}}]
    wanted["metadata"]["annotations"] = {ASKED: "true"}
    async with controllers(client, DeploymentRolloutOnChange):
        await client.create(Deployment.model_validate(wanted))
        await client.create(ConfigMap.model_validate(settings("1")))

        async def held() -> str:
            template = (await client.get(Deployment, "web", "default")).spec.template
            return template.metadata.annotations.get(HASH, "")

        async def hashed() -> bool:
            return bool(await held())

        await eventually(hashed, "a first hash")
        first = await held()
        await client.patch(ConfigMap, "settings", "default", {"metadata": {"labels": {"touched": "yes"}}})
        await client.patch(ConfigMap, "settings", "default", {"data": {"level": "2"}})

        async def changed() -> bool:
            return await held() != first

        await eventually(changed, "another hash for another content")
        assert (await client.get(Deployment, "web", "default")).metadata.generation == 3


def test_a_lease_ends_its_duration_after_its_last_renewal() -> None:
    spec = {"renewTime": ago(30).replace("Z", ".000000Z"), "leaseDurationSeconds": 40}
    lease = Lease.model_validate({"metadata": {"name": "l", "creationTimestamp": ago(500)}, "spec": spec})
    assert round(expires_in_seconds(lease, NOW)) == 10
    never = Lease.model_validate({"metadata": {"name": "l", "creationTimestamp": ago(500)}})
    assert expires_in_seconds(never, NOW) < 0
