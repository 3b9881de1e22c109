"""LoadBalancer Services: which addresses they get, and which Services are somebody else's."""

from typing import Any

import pytest

from controllers.serviceloadbalancer import CLASS, ServiceLoadBalancerController, addresses, wanted_ingress
from tests.client.server import eventually
from tests.controllers.objects import node
from tests.controllers.running import controllers
from tiphys.api.core.node import Node
from tiphys.api.core.service import Service
from tiphys.client.rest import Client


def with_address(name: str, address: str, ready: str = "True", type: str = "InternalIP", **labels: str) -> Node:
    found = node(name, ready).to_dict()
    found["metadata"]["labels"] = {key.replace("__", "/"): value for key, value in labels.items()}
    found["status"]["addresses"] = [{"type": type, "address": address}]
    return Node.model_validate(found)


def service(*held: str, **spec: Any) -> Service:
    return Service.model_validate(
        {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], **spec},
            "status": {"loadBalancer": {"ingress": [{"ip": one} for one in held]}},
        }
    )


NODES = [with_address("n2", "10.0.0.2"), with_address("n1", "10.0.0.1"), with_address("n3", "10.0.0.3", "False")]


@pytest.mark.parametrize(
    ("held", "spec", "wanted"),
    [
        ((), {}, ["10.0.0.1", "10.0.0.2"]),
        ((), {"loadBalancerClass": CLASS}, ["10.0.0.1", "10.0.0.2"]),
        ((), {"loadBalancerClass": "example.com/other"}, None),
        (("10.0.0.1", "10.0.0.2"), {}, None),
        (("10.0.0.3",), {}, ["10.0.0.1", "10.0.0.2"]),
        (("203.0.113.1",), {}, None),  # somebody else serves it
        (("10.0.0.1",), {"type": "ClusterIP"}, []),
    ],
)
def test_a_service_gets_the_addresses_of_the_ready_nodes(
    held: tuple[str, ...], spec: dict[str, Any], wanted: list[str] | None
) -> None:
    assert wanted_ingress(service(*held, **spec), NODES) == wanted


def test_a_node_may_stay_out_of_it() -> None:
    out = {"node.kubernetes.io__exclude-from-external-load-balancers": ""}
    assert addresses([with_address("n1", "10.0.0.1", **out)]) == []


async def test_the_addresses_follow_the_nodes(client: Client) -> None:
    await client.create(service())
    async with controllers(client, ServiceLoadBalancerController):
        one = with_address("n1", "10.0.0.1").to_dict()
        await client.create(Node.model_validate({"metadata": {"name": "n1"}}))
        await client.patch(Node, "n1", "", {"status": one["status"]}, subresource="status")

        async def has(*wanted: str) -> bool:
            found = (await client.get(Service, "web", "default")).status.loadBalancer.ingress
            return [each.ip for each in found] == list(wanted)

        await eventually(lambda: has("10.0.0.1"), "the node's address")
        await client.delete(Node, "n1")
        await client.create(Node.model_validate({"metadata": {"name": "n2"}}))
        two = with_address("n2", "10.0.0.1").to_dict()
        await client.patch(Node, "n2", "", {"status": two["status"]}, subresource="status")
        await eventually(lambda: has("10.0.0.1"), "the other node's address")
