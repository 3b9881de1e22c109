"""What /openapi and kubectl make of custom resources."""

from __future__ import annotations

import json
import re

from tests.conformance.api import Api, Object, eventually
from tests.conformance.cluster import Cluster
from tests.conformance.crds import ANYTHING, CustomResource, installed
from tests.conformance.rows import row

FOO: Object = {
    "type": "object",
    "description": "Foo CRD for Testing",
    "properties": {
        "spec": {
            "type": "object",
            "description": "Specification of Foo",
            "properties": {
                "bars": {
                    "type": "array",
                    "description": "List of Bars and their specs.",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string", "description": "Name of Bar."},
                            "age": {"type": "string", "description": "Age of Bar."},
                            "feeling": {"type": "string", "enum": ["Great", "Down"]},
                            "bazs": {"type": "array", "items": {"type": "string"}, "description": "List of Bazs."},
                        },
                    },
                }
            },
        },
        "status": {"type": "object", "description": "Status of Foo"},
    },
}


def published(api: Api, resource: CustomResource, version: str) -> Object | None:
    """The definition of the kind in /openapi/v2, or None."""
    wanted = {"group": resource.group, "version": version, "kind": resource.kind}
    for definition in api.get("/openapi/v2")["definitions"].values():
        if wanted in definition.get("x-kubernetes-group-version-kind", []):
            found: Object = definition
            return found
    return None


def wait_published(api: Api, resource: CustomResource, version: str) -> Object:
    return eventually(lambda: published(api, resource, version), f"{resource.name} {version} is published")


def wait_withdrawn(api: Api, resource: CustomResource, version: str) -> None:
    eventually(lambda: published(api, resource, version) is None, f"{resource.name} {version} is withdrawn")


def check_published(api: Api, resource: CustomResource) -> None:
    for version in resource.schemas:
        found = wait_published(api, resource, version)
        assert {"apiVersion", "kind", "metadata", "spec", "status"} <= set(found["properties"])
        assert found["properties"]["spec"]["description"] == "Specification of Foo"
        assert found["properties"]["spec"]["properties"]["bars"]["items"]["required"] == ["name"]


@row(40, "Custom Resource OpenAPI Publish, stop serving version")
def test_the_definition_is_removed_when_one_version_is_changed_to_not_be_served(api: Api) -> None:
    with installed(api, CustomResource.make(FOO, "v5", "v6alpha1")) as resource:
        check_published(api, resource)
        kept = published(api, resource, "v5")

        def change(obj: Object) -> None:
            obj["spec"]["versions"][1]["served"] = False

        api.update(resource.path, change)
        wait_withdrawn(api, resource, "v6alpha1")
        assert published(api, resource, "v5") == kept
        eventually(lambda: api.call("GET", resource.instances(version="v6alpha1")).status == 404, "v6alpha1 is gone")


@row(41, "Custom Resource OpenAPI Publish, version rename")
def test_the_published_spec_is_updated_when_one_version_is_renamed(api: Api) -> None:
    with installed(api, CustomResource.make(FOO, "v2", "v3")) as resource:
        check_published(api, resource)
        kept = published(api, resource, "v2")
        api.patch(resource.path, [{"op": "replace", "path": "/spec/versions/1/name", "value": "v4"}], "json")
        wait_published(api, resource, "v4")
        wait_withdrawn(api, resource, "v3")
        assert published(api, resource, "v2") == kept


@row(46, "Custom Resource OpenAPI Publish, varying groups")
def test_crds_of_different_groups_are_published(api: Api) -> None:
    with installed(api, CustomResource.make(FOO)) as first, installed(api, CustomResource.make(FOO)) as second:
        assert first.group != second.group
        check_published(api, first)
        check_published(api, second)
    wait_withdrawn(api, first, "v1")
    wait_withdrawn(api, second, "v1")


@row(47, "Custom Resource OpenAPI Publish, varying kinds")
def test_crds_of_the_same_group_and_version_but_different_kinds_are_published(api: Api, unique: str) -> None:
    group = f"kinds-{unique}.example.com"
    foo, waldo = (CustomResource.make(FOO, "v6", group=group, kind=kind) for kind in ("Foo", "Waldo"))
    with installed(api, foo), installed(api, waldo):
        check_published(api, foo)
        check_published(api, waldo)


@row(48, "Custom Resource OpenAPI Publish, varying versions")
def test_crds_of_the_same_group_but_different_versions_are_published(api: Api, unique: str) -> None:
    with installed(api, CustomResource.make(FOO, "v2", "v3")) as resource:
        check_published(api, resource)
    group = f"versions-{unique}.example.com"
    first = CustomResource.make(FOO, "v4", group=group, kind="First")
    second = CustomResource.make(FOO, "v5", group=group, kind="Second")
    with installed(api, first), installed(api, second):
        check_published(api, first)
        check_published(api, second)


def check_kubectl_accepts(cluster: Cluster, namespace: str, obj: Object) -> None:
    """create, delete, apply (as created, then as unchanged) and delete of one object."""
    text, where = json.dumps(obj), ("--namespace", namespace)
    for verb in ("create", "apply", "apply"):
        cluster.kubectl(verb, "-f", "-", *where, stdin=text)
        if verb == "create":
            cluster.kubectl("delete", "-f", "-", *where, stdin=text)
    cluster.kubectl("delete", "-f", "-", *where, stdin=text)


def explain(cluster: Cluster, resource: CustomResource, path: str, *patterns: str) -> None:
    """`kubectl explain` matches every pattern before long: it reads documents that follow the definition."""

    def explained() -> bool:
        done = cluster.run_kubectl("explain", f"{resource.plural}{path}")
        last[:] = [done.out, done.err]
        return done.code == 0 and all(re.search(pattern, done.out, re.DOTALL) for pattern in patterns)

    last: list[str] = []
    try:
        eventually(explained, f"explain {path} matches {patterns}", 10)
    except AssertionError as error:
        raise AssertionError(f"{error}: {last}") from None


@row(42, "Custom Resource OpenAPI Publish, with x-kubernetes-preserve-unknown-fields at root")
def test_kubectl_works_for_a_crd_preserving_unknown_fields_at_the_schema_root(
    cluster: Cluster, api: Api, namespace: str
) -> None:
    schema = {
        **FOO,
        "properties": {},
        "description": "preserve at the root",
        "x-kubernetes-preserve-unknown-fields": True,
    }
    with installed(api, CustomResource.make(schema)) as resource:
        wait_published(api, resource, "v1")
        check_kubectl_accepts(cluster, namespace, resource.instance("example", a={"b": [{"c": "d"}]}))
        explain(cluster, resource, "", rf"KIND:\s+{resource.kind}")


@row(43, "Custom Resource OpenAPI Publish, with x-kubernetes-preserve-unknown-fields in embedded object")
def test_kubectl_works_for_a_crd_preserving_unknown_fields_in_an_embedded_object(
    cluster: Cluster, api: Api, namespace: str
) -> None:
    text = "preserve-unknown-properties in nested field for Testing"
    schema = {"type": "object", "description": text, "properties": {"spec": ANYTHING, "status": ANYTHING}}
    with installed(api, CustomResource.make(schema)) as resource:
        wait_published(api, resource, "v1")
        check_kubectl_accepts(cluster, namespace, resource.instance("example", spec={"a": None, "b": [{"c": "d"}]}))
        explain(cluster, resource, "", rf"KIND:\s+{resource.kind}", rf"DESCRIPTION:\s+{text}", r"spec\s+<Object>")


@row(44, "Custom Resource OpenAPI Publish, with validation schema")
def test_kubectl_works_for_a_crd_with_a_validation_schema(cluster: Cluster, api: Api, namespace: str) -> None:
    with installed(api, CustomResource.make(FOO)) as resource:
        wait_published(api, resource, "v1")
        valid = {"bars": [{"name": "test-bar", "age": "10", "feeling": "Great"}]}
        check_kubectl_accepts(cluster, namespace, resource.instance("example", spec=valid))
        refused = {
            'unknown field "spec.unknown"': {"unknown": 1},
            'unknown field "spec.bars[0].shape"': {"bars": [{"name": "n", "shape": "round"}]},
            "spec.bars[0].name: Required value": {"bars": [{"age": "10"}]},
            'supported values: "Great", "Down"': {"bars": [{"name": "n", "feeling": "Neutral"}]},
        }
        for message, spec in refused.items():
            for verb in ("create", "apply"):
                text = json.dumps(resource.instance("refused", spec=spec))
                assert message in cluster.kubectl_fails(verb, "-f", "-", "-n", namespace, stdin=text)

        explain(
            cluster, resource, "", r"DESCRIPTION:\s+Foo CRD for Testing", r"apiVersion\s+<string>", r"spec\s+<Object>"
        )
        explain(
            cluster,
            resource,
            ".metadata",
            r"DESCRIPTION:\s+Standard object's metadata",
            r"creationTimestamp\s+<string>",
        )
        explain(cluster, resource, ".spec", r"DESCRIPTION:\s+Specification of Foo", r"bars\s+<\[\]Object>")
        bars = (r"name\s+<string> -required-", r"age\s+<string>", r"bazs\s+<\[\]string>", "Age of Bar")
        explain(cluster, resource, ".spec.bars", *bars)
        error = cluster.kubectl_fails("explain", f"{resource.plural}.spec.bars2")
        assert 'field "bars2" does not exist' in error


@row(45, "Custom Resource OpenAPI Publish, with x-kubernetes-preserve-unknown-fields in object")
def test_kubectl_works_for_a_crd_without_a_validation_schema(cluster: Cluster, api: Api, namespace: str) -> None:
    with installed(api, CustomResource.make(ANYTHING)) as resource:
        wait_published(api, resource, "v1")
        check_kubectl_accepts(cluster, namespace, resource.instance("example", a={"b": [{"c": "d"}]}))
        explain(cluster, resource, "", rf"KIND:\s+{resource.kind}", r"DESCRIPTION:\s+<empty>")
