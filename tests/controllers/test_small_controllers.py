"""Namespaces, accounts, certificates, silent nodes, simulated nodes: against a real API server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest

from controllers.deployment import DeploymentController
from controllers.manager import CONTROLLERS, enabled
from controllers.namespace import NamespaceController
from controllers.nodelifecycle import NodeLifecycleController
from controllers.podgc import surplus
from controllers.replicaset import ReplicaSetController
from controllers.rootcacertpublisher import RootCACertPublisher
from controllers.serviceaccount import ServiceAccountController
from controllers.simulatednodes import SimulatedNodes, ends_by_itself
from controllers.tainteviction import TaintEvictionController
from tests.client.server import eventually
from tests.controllers.objects import pod as pod_object
from tests.controllers.running import controllers, default_account, pods, template, web
from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.namespace import Namespace
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.api.core.serviceaccount import ServiceAccount
from tiphys.client.errors import ApiError
from tiphys.client.rest import Client


async def exists(client: Client, model: type, name: str, namespace: str = "") -> bool:
    try:
        await client.get(model, name, namespace)
    except ApiError as error:
        assert error.not_found
        return False
    return True


async def test_every_namespace_gets_its_account_and_certificate_and_gets_them_back(client: Client) -> None:
    async with controllers(client, ServiceAccountController, RootCACertPublisher):
        await client.create(Namespace.model_validate({"metadata": {"name": "shop"}}))

        async def both() -> bool:
            there = await exists(client, ConfigMap, "kube-root-ca.crt", "shop")
            return there and await exists(client, ServiceAccount, "default", "shop")

        await eventually(both, "account and certificate")
        await client.delete(ServiceAccount, "default", "shop")
        await client.patch(ConfigMap, "kube-root-ca.crt", "shop", {"data": {"ca.crt": "forged", "more": "x"}})

        async def put_back() -> bool:
            data = (await client.get(ConfigMap, "kube-root-ca.crt", "shop")).data
            return await both() and data == {"ca.crt": client.config.ca_data.decode()}

        await eventually(put_back, "both put back")


async def test_a_deleted_namespace_says_what_holds_it_and_goes_when_that_is_gone(client: Client) -> None:
    await client.create(Namespace.model_validate({"metadata": {"name": "shop"}}))
    held = {"metadata": {"name": "held", "namespace": "shop", "finalizers": ["example.com/hold"]}}
    await client.create(ConfigMap.model_validate(held))
    await client.create(ConfigMap.model_validate({"metadata": {"name": "free", "namespace": "shop"}}))
    async with controllers(client, NamespaceController):
        await client.delete(Namespace, "shop")

        async def told() -> bool:
            status = (await client.get(Namespace, "shop")).status
            conditions = {one.type: one for one in status.conditions if one.status == "True"}
            return status.phase == "Terminating" and set(conditions) == {
                "NamespaceContentRemaining",
                "NamespaceFinalizersRemaining",
            }

        await eventually(told, "the conditions")
        assert [item.metadata.name for item in (await client.list(ConfigMap, "shop")).items] == ["held"]
        await client.patch(ConfigMap, "held", "shop", {"metadata": {"finalizers": None}})

        async def gone() -> bool:
            return not await exists(client, Namespace, "shop")

        await eventually(gone, "the namespace gone")


def bound_pod(name: str, **spec: object) -> Pod:
    wanted = {**template()["spec"], "nodeName": "n1", "terminationGracePeriodSeconds": 0, **spec}
    return Pod.model_validate({"metadata": {"name": name, "namespace": "default"}, "spec": wanted})


@asynccontextmanager
async def beating(client: Client, name: str) -> AsyncIterator[None]:
    """The node goes on saying that it is well."""

    async def beat() -> None:
        for number in count():
            at = f"2026-01-02T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"
            ready = [{"type": "Ready", "status": "True", "lastHeartbeatTime": at}]
            await client.patch(Node, name, "", {"status": {"conditions": ready}}, subresource="status")
            await asyncio.sleep(0.2)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_silent_node_becomes_unknown_is_tainted_and_emptied(client: Client) -> None:
    await default_account(client)
    ready = [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-02T03:04:05Z"}]
    await client.create(Node.model_validate({"metadata": {"name": "n1"}}))
    await client.patch(Node, "n1", "", {"status": {"conditions": ready}}, subresource="status")
    await client.create(Node.model_validate({"metadata": {"name": "n2"}}))  # or all are silent, and none is emptied
    await client.patch(Node, "n2", "", {"status": {"conditions": ready}}, subresource="status")
    await client.create(bound_pod("goes", tolerations=[unreachable(1)]))
    await client.create(bound_pod("stays", tolerations=[unreachable(None)]))
    await client.patch(Pod, "stays", "default", {"status": {"conditions": ready}}, subresource="status")
    factory = lambda environment: NodeLifecycleController(environment, 1.0)  # noqa: E731
    async with controllers(client, factory, TaintEvictionController), beating(client, "n2"):

        async def unknown() -> bool:
            node = await client.get(Node, "n1")
            return {taint.effect for taint in node.spec.taints} == {"NoSchedule", "NoExecute"}

        await eventually(unknown, "the taints")
        node = await client.get(Node, "n1")
        assert {one.key for one in node.spec.taints} == {"node.kubernetes.io/unreachable"}
        assert {one.reason for one in node.status.conditions if one.type == "Ready"} == {"NodeStatusUnknown"}

        async def emptied() -> bool:
            return [pod.metadata.name for pod in await pods(client)] == ["stays"]

        await eventually(emptied, "the pod evicted whose time was up")
        (stays,) = await pods(client)
        assert [one.status for one in stays.status.conditions if one.type == "Ready"] == ["False"]
        await client.patch(
            Node,
            "n1",
            "",
            {"status": {"conditions": [{**ready[0], "lastHeartbeatTime": "2026-01-02T03:05:05Z"}]}},
            subresource="status",
            patch_type="strategic",
        )

        async def healed() -> bool:
            return not (await client.get(Node, "n1")).spec.taints

        await eventually(healed, "the taints gone")


def unreachable(seconds: int | None) -> dict[str, object]:
    limit = {} if seconds is None else {"tolerationSeconds": seconds}
    return {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", **limit}


async def test_pods_on_simulated_nodes_run_and_end_when_told(client: Client) -> None:
    await default_account(client)
    async with controllers(
        client, DeploymentController, ReplicaSetController, lambda environment: SimulatedNodes(environment, 2)
    ):

        async def registered() -> bool:
            nodes = (await client.list(Node, label_selector="type=tiphys-fake")).items
            return len(nodes) == 2 and all(one.status.conditions for one in nodes)

        await eventually(registered, "two nodes")
        wanted = web(3).to_dict()
        wanted["spec"]["template"]["spec"]["nodeName"] = "fake-node-1"
        await client.create(type(web()).model_validate(wanted))

        async def available() -> bool:
            return (await client.get(type(web()), "web", "default")).status.availableReplicas == 3

        await eventually(available, "three available pods")
        addresses = {pod.status.podIP for pod in await pods(client)}
        assert len(addresses) == 3
        await client.patch(type(web()), "web", "default", {"spec": {"replicas": 0}})

        async def gone() -> bool:
            return not await pods(client)

        await eventually(gone, "the pods gone")


def test_a_simulated_job_pod_ends_and_a_service_does_not() -> None:
    job = [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}]
    for policy, owners, ends in (("Never", job, True), ("OnFailure", job, True), ("Never", [], False)):
        pod = pod_object(ownerReferences=owners)
        spec = pod.spec.model_copy(update={"restartPolicy": policy})
        assert ends_by_itself(pod.model_copy(update={"spec": spec})) is ends


def test_of_ended_pods_the_oldest_go_beyond_the_threshold() -> None:
    ended = [pod_object(f"p{age}", age=age) for age in (10, 30, 20)]
    assert [pod.metadata.name for pod in surplus(ended, 1)] == ["p30", "p20"]
    assert surplus(ended, 3) == []


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["*"], list(CONTROLLERS)),
        (["deployment", "replicaset-controller"], ["deployment-controller", "replicaset-controller"]),
        (["*", "-garbage-collector"], [name for name in CONTROLLERS if name != "garbage-collector-controller"]),
    ],
)
def test_controllers_are_chosen_by_name(words: list[str], names: list[str]) -> None:
    assert enabled(words) == names


def test_an_unknown_controller_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="deployment-controller"):
        enabled(["deploymint"])
