"""Hand-made Endpoints and their slices."""

from typing import Any

from controllers.endpointslicemirroring import EndpointSliceMirroringController, contents, is_mirrored, plan
from tests.client.server import eventually
from tests.controllers.running import controllers
from tiphys.api.core.endpoints import Endpoints
from tiphys.api.core.service import Service
from tiphys.api.endpoints.endpointslice import EndpointSlice
from tiphys.client.rest import Client


def endpoints(*addresses: str, **metadata: Any) -> Endpoints:
    subset = {"addresses": [{"ip": one} for one in addresses], "ports": [{"port": 80}]}
    return Endpoints.model_validate(
        {"metadata": {"name": "db", "namespace": "default", "uid": "u", **metadata}, "subsets": [subset]}
    )


def service(**spec: Any) -> Service:
    return Service.model_validate(
        {"metadata": {"name": "db", "namespace": "default"}, "spec": {"ports": [{"port": 80}], **spec}}
    )


def test_each_family_has_a_slice_of_its_own_and_ports_say_their_protocol() -> None:
    found = contents(endpoints("10.1.2.3", "2001:db8::1"))
    assert [one["addressType"] for one in found] == ["IPv4", "IPv6"]
    assert found[0]["ports"] == [{"name": "", "protocol": "TCP", "port": 80}]
    assert found[0]["endpoints"] == [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}]


def test_only_endpoints_of_a_service_without_selector_are_mirrored() -> None:
    assert is_mirrored(endpoints("10.1.2.3"), service())
    assert not is_mirrored(endpoints("10.1.2.3"), service(selector={"a": "b"}))
    assert not is_mirrored(endpoints("10.1.2.3"), None)
    skip = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    assert not is_mirrored(endpoints("10.1.2.3", labels=skip), service())


def test_a_slice_that_says_the_same_stays_and_one_too_many_goes() -> None:
    (wanted,) = plan(endpoints("10.1.2.3"), []).create
    held = EndpointSlice.model_validate({**wanted, "metadata": {**wanted["metadata"], "name": "db-1"}})
    todo = plan(endpoints("10.1.2.3"), [held])
    assert (todo.create, todo.update, todo.delete) == ([], [], [])
    ((one, patch),) = plan(endpoints("10.1.2.4"), [held]).update
    assert one is held and patch["endpoints"][0]["addresses"] == ["10.1.2.4"]
    assert plan(endpoints(), [held]).delete == [held]


async def test_slices_follow_the_endpoints(client: Client) -> None:
    async with controllers(client, EndpointSliceMirroringController):
        await client.create(service())
        await client.create(endpoints("10.1.2.3", uid=""))

        async def mirrored(*wanted: str) -> bool:
            found = (await client.list(EndpointSlice, "default")).items
            own = [one for one in found if one.metadata.labels.get("kubernetes.io/service-name") == "db"]
            return [each.addresses[0] for one in own for each in one.endpoints] == list(wanted)

        await eventually(lambda: mirrored("10.1.2.3"), "one slice")
        both = [{"addresses": [{"ip": "10.1.2.3"}, {"ip": "10.1.2.4"}], "ports": [{"port": 80}]}]
        await client.patch(Endpoints, "db", "default", {"subsets": both})
        await eventually(lambda: mirrored("10.1.2.3", "10.1.2.4"), "two addresses")
        await client.delete(Endpoints, "db", "default")
        await eventually(lambda: mirrored(), "no slice")
