"""Dynamic resource allocation: the API of resource.k8s.io/v1, with every patch type on claims and their status."""

from __future__ import annotations

import copy
from collections.abc import Callable

from tests.conformance.api import Api, Object
from tests.conformance.operations import LABEL, Resource, Scenario, check_api_operations
from tests.conformance.rows import row

_GROUP = ("resource.k8s.io", "v1")
_CLAIMS = Resource(*_GROUP, "resourceclaims", "ResourceClaim", subresources=("status",))


def claim_spec() -> Object:
    return {"devices": {"requests": [{"name": "req-0", "exactly": {"deviceClassName": "example.com"}}]}}


@row(458, "CRUD operations for deviceclasses")
def test_crud_of_deviceclasses(api: Api, unique: str) -> None:
    def device_class(name: str) -> Object:
        return {"spec": {"selectors": [{"cel": {"expression": "device.driver == 'example.com'"}}]}}

    def change(obj: Object) -> None:
        obj["spec"]["selectors"] = [{"cel": {"expression": "device.driver == 'other.example.com'"}}]

    resource = Resource(*_GROUP, "deviceclasses", "DeviceClass", namespaced=False)
    check_api_operations(api, Scenario(resource, device_class, unique, change=change))
    check_strategic_patch(api, resource, "", device_class(""), unique)


@row(460, "CRUD operations for resourceclaims")
def test_crud_of_resourceclaims(api: Api, unique: str, make_namespace: Callable[[], str]) -> None:
    namespaces = (make_namespace(), make_namespace())
    check_api_operations(api, Scenario(_CLAIMS, lambda name: {"spec": claim_spec()}, unique, namespaces))
    path = _CLAIMS.path(namespaces[0])
    api.create(path, {"metadata": {"name": "example"}, "spec": claim_spec()})
    check_metadata_patches(api, f"{path}/example")
    check_allocations(api, f"{path}/example/status")
    api.delete(f"{path}/example")
    api.gone(f"{path}/example")


def check_metadata_patches(api: Api, path: str) -> None:
    labels: dict[str, str] = {}
    for kind in ("merge", "strategic", "json", "apply"):
        labels[kind] = "true"
        patch: object = {"metadata": {"labels": {kind: "true"}}}
        if kind == "json":
            patch = [{"op": "add", "path": "/metadata/labels/json", "value": "true"}]
        if kind == "apply":
            head = {"apiVersion": _CLAIMS.group_version, "kind": _CLAIMS.kind}
            metadata = {"name": "example", "labels": {kind: "true"}}
            patched = api.apply(path, {**head, "metadata": metadata, "spec": claim_spec()}, force="true")
        else:
            patched = api.patch(path, patch, kind)
        assert patched["metadata"]["labels"] == labels
    assert api.get(path)["metadata"]["labels"] == labels


def check_allocations(api: Api, path: str) -> None:
    """An allocation comes by update and by each kind of patch, and goes again."""
    device = {"request": "req-0", "driver": "example.com", "pool": "pool", "device": "device-1"}
    allocation = {"devices": {"results": [device]}}
    head = {"apiVersion": _CLAIMS.group_version, "kind": _CLAIMS.kind, "metadata": {"name": "example"}}

    def check_and_clear(found: Object, how: str) -> None:
        result = found["status"]["allocation"]["devices"]["results"][0]
        assert {key: result[key] for key in device} == device, how
        cleared = api.update(path, lambda obj: obj.update(status={}))
        assert "allocation" not in cleared.get("status", {}), how

    check_and_clear(api.update(path, lambda obj: obj.update(status={"allocation": copy.deepcopy(allocation)})), "PUT")
    for kind in ("merge", "strategic"):
        check_and_clear(api.patch(path, {"status": {"allocation": allocation}}, kind), kind)
    operation = {"op": "add", "path": "/status", "value": {"allocation": allocation}}
    check_and_clear(api.patch(path, [operation], "json"), "json")
    check_and_clear(api.apply(path, {**head, "status": {"allocation": allocation}}, force="true"), "apply")


@row(461, "CRUD operations for resourceclaimtemplates")
def test_crud_of_resourceclaimtemplates(api: Api, unique: str, make_namespace: Callable[[], str]) -> None:
    def template(name: str) -> Object:
        return {"spec": {"spec": claim_spec()}}

    resource = Resource(*_GROUP, "resourceclaimtemplates", "ResourceClaimTemplate")
    namespaces = (make_namespace(), make_namespace())
    check_api_operations(api, Scenario(resource, template, unique, namespaces))
    check_strategic_patch(api, resource, namespaces[0], template(""), unique)


@row(462, "CRUD operations for resoureslices")
def test_crud_of_resourceslices(api: Api, unique: str) -> None:
    def resource_slice(name: str) -> Object:
        pool = {"name": f"pool-{name}-{unique}", "resourceSliceCount": 1, "generation": 1}
        devices = [{"name": "device-1", "attributes": {"model": {"string": "a"}}}]
        return {"spec": {"driver": "example.com", "pool": pool, "nodeName": f"node-{unique}", "devices": devices}}

    def change(obj: Object) -> None:
        obj["spec"]["devices"] = [{"name": f"device-{number}"} for number in (1, 2)]

    resource = Resource(*_GROUP, "resourceslices", "ResourceSlice", namespaced=False)
    check_api_operations(api, Scenario(resource, resource_slice, unique, change=change))

    path = check_strategic_patch(api, resource, "", resource_slice("patched"), unique, delete=False)
    devices = [{"name": "device-1"}, {"name": "device-9"}]
    patched = api.patch(path, {"spec": {"devices": devices}}, "strategic")
    assert [device["name"] for device in patched["spec"]["devices"]] == ["device-1", "device-9"]
    api.delete(path)
    api.gone(path)


def check_strategic_patch(
    api: Api, resource: Resource, namespace: str, obj: Object, label: str, *, delete: bool = True
) -> str:
    """A strategic merge patch of metadata is stored; the path of the object it was tried on."""
    collection, name = resource.path(namespace), f"patched-{label}"
    api.create(collection, {**obj, "metadata": {"name": name, "labels": {LABEL: f"{label}-patched"}}})
    patch = {"metadata": {"labels": {"patched": "true"}}}
    api.patch(f"{collection}/{name}", patch, "strategic")
    assert [item["metadata"]["name"] for item in api.items(collection, f"patched=true,{LABEL}={label}-patched")] == [
        name
    ]
    if delete:
        api.delete(f"{collection}/{name}")
        api.gone(f"{collection}/{name}")
    return f"{collection}/{name}"
