"""Which endpoints a Service has: the plan as tables, and both forms against a real API server."""

from typing import Any

import pytest

from controllers.endpoints import EndpointsController, subsets
from controllers.endpointslice import EndpointSliceController
from controllers.endpointslice_plan import MAX_ENDPOINTS, plan, target_port
from tests.client.server import eventually
from tests.controllers.objects import pod
from tests.controllers.running import controllers, default_account
from tiphys.api.core.endpoints import Endpoints
from tiphys.api.core.pod import Pod
from tiphys.api.core.service import Service, ServicePort
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.client.rest import Client


def service(**spec: Any) -> Service:
    return Service.model_validate(
        {
            "metadata": {"name": "web", "namespace": "default", "uid": "uid-web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}], **spec},
        }
    )


def behind(name: str, ip: str = "10.0.0.1", **fields: Any) -> Pod:
    made = pod(name, **fields)
    return made.model_copy(update={"status": made.status.model_copy(update={"podIP": ip})})


def held(wire: dict[str, Any], name: str = "web-1") -> EndpointSlice:
    return EndpointSlice.model_validate({**wire, "metadata": {**wire["metadata"], "name": name, "uid": name}})


def test_a_service_without_pods_has_one_empty_slice() -> None:
    todo = plan(service(), [], {}, [])
    assert [one["endpoints"] for one in todo.create] == [[]] and not todo.update and not todo.delete
    assert plan(service(), [], {}, [held(todo.create[0])]).create == []


@pytest.mark.parametrize(
    ("fields", "publish", "conditions"),
    [
        ({}, False, {"ready": True, "serving": True, "terminating": False}),
        ({"ready": False}, False, {"ready": False, "serving": False, "terminating": False}),
        ({"ready": False}, True, {"ready": True, "serving": False, "terminating": False}),
        ({"deletionTimestamp": "x"}, False, {"ready": False, "serving": True, "terminating": True}),
        ({"phase": "Failed"}, False, None),
    ],
)
def test_the_conditions_of_an_endpoint(
    fields: dict[str, Any], publish: bool, conditions: dict[str, bool] | None
) -> None:
    (made,) = plan(service(publishNotReadyAddresses=publish), [behind("a", **fields)], {"n1": "z1"}, []).create
    if conditions is None:
        assert made["endpoints"] == []
    else:
        (endpoint,) = made["endpoints"]
        assert (endpoint["conditions"], endpoint["addresses"], endpoint["zone"]) == (conditions, ["10.0.0.1"], "z1")
        assert made["ports"] == [{"name": "", "protocol": "TCP", "port": 8080}]


def test_nothing_is_written_when_nothing_changed_and_one_slice_when_one_pod_did() -> None:
    pods = [behind(f"p{number}", f"10.0.0.{number}") for number in range(150)]
    first = plan(service(), pods, {}, [])
    assert [len(one["endpoints"]) for one in first.create] == [MAX_ENDPOINTS, 50]
    slices = [held(one, f"web-{number}") for number, one in enumerate(first.create)]
    again = plan(service(), pods, {}, slices)
    assert not again.create and not again.update and not again.delete
    fewer = plan(service(), pods[1:], {}, slices)
    assert [one.metadata.name for one, _ in fewer.update] == ["web-0"] and not fewer.create
    none = plan(service(), [], {}, slices)
    assert len(none.create) + len(none.update) == 1, "one empty slice stays"


def test_a_named_port_is_looked_up_in_each_pod() -> None:
    made = behind("a").to_dict()
    made["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 3000}]
    named = Pod.model_validate(made)
    assert target_port(named, ServicePort(port=80, targetPort="http")) == 3000
    assert target_port(named, ServicePort(port=80, targetPort="admin")) is None
    assert target_port(named, ServicePort(port=80)) == 80


def test_endpoints_split_ready_from_others() -> None:
    (one,) = subsets(service(), [behind("b", "10.0.0.2", ready=False), behind("a")])
    assert [address["ip"] for address in one["addresses"]] == ["10.0.0.1"]
    assert [address["ip"] for address in one["notReadyAddresses"]] == ["10.0.0.2"]
    assert one["ports"] == [{"protocol": "TCP", "port": 8080}]


async def test_both_forms_follow_the_pods(client: Client) -> None:
    await default_account(client)
    async with controllers(client, EndpointSliceController, EndpointsController):
        wanted = service().to_dict()
        wanted["metadata"].pop("uid")
        await client.create(Service.model_validate(wanted))
        spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}
        metadata = {"name": "a", "namespace": "default", "labels": {"app": "web"}}
        await client.create(Pod.model_validate({"metadata": metadata, "spec": spec}))
        ready = [{"type": "Ready", "status": "True"}]
        status = {"phase": "Running", "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}], "conditions": ready}
        await client.patch(Pod, "a", "default", {"status": status}, subresource="status")

        async def there() -> bool:
            slices = [
                one for one in (await client.list(EndpointSlice, "default")).items if one.metadata.ownerReferences
            ]
            older = [one for one in (await client.list(Endpoints, "default")).items if one.metadata.name == "web"]
            addresses = [one.addresses for held in slices for one in held.endpoints if one.conditions.ready]
            return addresses == [["10.1.2.3"]] and [a.ip for o in older for s in o.subsets for a in s.addresses] == [
                "10.1.2.3"
            ]

        await eventually(there, "the address in both")
        await client.delete(Pod, "a", "default", grace_period_seconds=0)

        async def gone() -> bool:
            slices = (await client.list(EndpointSlice, "default")).items
            older = await client.get(Endpoints, "web", "default")
            return not older.subsets and not any(one.endpoints for one in slices if one.metadata.ownerReferences)

        await eventually(gone, "the address gone from both")
