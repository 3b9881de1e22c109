"""CustomResourceDefinitions and the objects they bring."""

from __future__ import annotations

import copy

from tests.conformance.api import Api, Object, eventually
from tests.conformance.crds import DEFINITIONS, CustomResource, install, installed, is_established
from tests.conformance.rows import row


@row(33, "Custom Resource Definition, watch")
def test_watch_on_custom_resource_definition_objects(api: Api, namespace: str) -> None:
    with installed(api, CustomResource.make()) as resource:
        path = resource.instances(namespace)
        with api.watch(path) as watch:
            for name in ("first", "second"):
                api.create(path, resource.instance(name))
                watch.must_be("ADDED", name)
            for name in ("first", "second"):
                api.patch(f"{path}/{name}", {"spec": {"patched": True}})
                assert watch.must_be("MODIFIED", name)["spec"] == {"patched": True}
            for name in ("first", "second"):
                api.delete(f"{path}/{name}")
                watch.must_be("DELETED", name)


@row(34, "Custom Resource Definition, create")
def test_creating_and_deleting_custom_resource_definition_objects_works(api: Api) -> None:
    resource = CustomResource.make()
    install(api, resource)
    assert is_established(api.get(resource.path))
    assert api.get(resource.instances())["kind"] == f"{resource.kind}List"
    api.delete(resource.path)
    api.gone(resource.path)
    eventually(lambda: api.call("GET", resource.instances()).status == 404, "the resource is served no more")


@row(35, "Custom Resource Definition, status sub-resource")
def test_getting_updating_and_patching_the_status_subresource_of_a_definition_works(api: Api) -> None:
    with installed(api, CustomResource.make()) as resource:
        path = f"{resource.path}/status"
        assert is_established(api.get(path))
        updated = {"type": "StatusUpdate", "status": "True", "reason": "Tested", "message": "updated by the test"}
        api.update(path, lambda obj: obj["status"]["conditions"].append(copy.deepcopy(updated)))
        patched = {"type": "StatusPatched", "status": "True", "reason": "Tested", "message": "patched by the test"}

        def append() -> bool:
            conditions = [*api.get(path)["status"]["conditions"], patched]
            api.patch(path, {"status": {"conditions": conditions}})
            return {"StatusUpdate", "StatusPatched", "Established"} <= condition_types(api.get(resource.path))

        eventually(append, "both conditions are there")


def condition_types(obj: Object) -> set[str]:
    return {found["type"] for found in obj["status"]["conditions"]}


@row(36, "Custom Resource Definition, list")
def test_listing_custom_resource_definition_objects_works(api: Api, unique: str) -> None:
    labels = {"conformance-test": unique}
    selector = f"conformance-test={unique}"
    made = [CustomResource.make() for _ in range(10)]
    other = CustomResource.make()
    for resource in made:
        install(api, resource, labels)
    install(api, other)
    found = sorted(item["metadata"]["name"] for item in api.items(DEFINITIONS, selector))
    assert found == sorted(resource.name for resource in made)
    api.delete(DEFINITIONS, labelSelector=selector)
    eventually(lambda: api.items(DEFINITIONS, selector) == [], "the labelled definitions are gone")
    assert is_established(api.get(other.path))
    api.delete(other.path)


@row(37, "Custom Resource Definition, defaulting")
def test_custom_resource_defaulting_for_requests_and_from_storage_works(api: Api, namespace: str) -> None:
    def schema(**defaults: str) -> Object:
        fields: Object = {name: {"type": "string"} for name in ("a", "b")}
        for name, value in defaults.items():
            fields[name]["default"] = value
        return {"type": "object", "properties": fields}

    def set_schema(**defaults: str) -> None:
        def change(obj: Object) -> None:
            obj["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema(**defaults)

        api.update(resource.path, change)

    def shown(name: str) -> Object:
        found = api.get(f"{path}/{name}")
        return {key: found[key] for key in ("a", "b") if key in found}

    with installed(api, CustomResource.make(schema())) as resource:
        path = resource.instances(namespace)
        assert "a" not in api.create(path, resource.instance("old"))
        set_schema(a="A")
        eventually(lambda: shown("old") == {"a": "A"}, "the default is read from storage")
        assert api.create(path, resource.instance("new"))["a"] == "A"
        set_schema(b="B")
        eventually(lambda: shown("old") == {"b": "B"}, "the other default is read from storage")
        assert shown("new") == {"a": "A", "b": "B"}  # what the request got stays, what storage shows joins it
