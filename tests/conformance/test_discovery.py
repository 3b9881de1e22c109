"""Discovery, aggregated and not, and the version of the server."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from tests.conformance.api import Api, Object, eventually
from tests.conformance.crds import CustomResource, installed
from tests.conformance.rows import row

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
_BUILTIN = Path(__file__).parents[1] / "data" / "discovery.tsv"


def builtin_resources() -> set[tuple[str, str, str]]:
    """(group, version, plural) of everything that a v1.36 server has without any add-on."""
    with _BUILTIN.open(newline="") as file:
        records = list(csv.DictReader(file, delimiter="\t"))
    found = {(r["group"], r["version"], r["resource"]) for r in records if "/" not in r["resource"]}
    return {("" if group == "core" else group, version, plural) for group, version, plural in found}


def raw_documents(api: Api) -> list[Object]:
    """Both aggregated documents, their types checked."""
    documents = []
    for path in ("/api", "/apis"):
        answer = api.call("GET", path, headers={"Accept": AGGREGATED})
        assert answer.status == 200 and "as=APIGroupDiscoveryList" in answer.headers["Content-Type"]
        found = answer.json
        assert (found["kind"], found["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
        documents.append(found)
    return documents


def aggregated_resources(api: Api) -> set[tuple[str, str, str]]:
    found = set()
    for document in raw_documents(api):
        for group in document["items"]:
            name = group["metadata"].get("name", "")
            for version in group["versions"]:
                found |= {(name, version["version"], item["resource"]) for item in version.get("resources", [])}
    return found


@row(26, "Aggregated Discovery Interface")
def test_aggregateddiscovery_supports_the_aggregated_discovery_interface(api: Api) -> None:
    assert builtin_resources() - aggregated_resources(api) == set()


@row(28, "Aggregated Discovery Endpoint Accept Headers")
def test_aggregateddiscovery_supports_raw_endpoint_accept_headers(api: Api) -> None:
    core, groups = raw_documents(api)
    assert [group["metadata"].get("name", "") for group in core["items"]] == [""]
    versions = {group["metadata"]["name"]: group["versions"] for group in groups["items"]}
    deployments = next(item for item in versions["apps"][0]["resources"] if item["resource"] == "deployments")
    assert (deployments["responseKind"]["kind"], deployments["scope"]) == ("Deployment", "Namespaced")
    assert {item["subresource"] for item in deployments["subresources"]} == {"scale", "status"}
    plain = api.get("/apis")
    assert plain["kind"] == "APIGroupList"
    assert [group["name"] for group in plain["groups"]] == [group["metadata"]["name"] for group in groups["items"]]


@row(27, "Aggregated Discovery Interface CRDs")
def test_aggregateddiscovery_supports_the_aggregated_discovery_interface_for_crds(api: Api) -> None:
    with installed(api, CustomResource.make()) as resource:
        wanted = (resource.group, "v1", resource.plural)
        eventually(lambda: wanted in aggregated_resources(api), f"{wanted} is discovered")
    eventually(lambda: wanted not in aggregated_resources(api), f"{wanted} is discovered no more")


@row(29, "Aggregated Discovery Endpoint Accept Headers CRDs")
def test_aggregateddiscovery_supports_the_raw_aggregated_request_for_crds(api: Api) -> None:
    with installed(api, CustomResource.make()) as resource:

        def entry() -> Object | None:
            groups = {group["metadata"]["name"]: group for group in raw_documents(api)[1]["items"]}
            return groups.get(resource.group)

        found = eventually(entry, f"{resource.group} is discovered")
        assert [version["version"] for version in found["versions"]] == ["v1"]
        advertised = found["versions"][0]["resources"][0]
        assert (advertised["resource"], advertised["responseKind"]["kind"]) == (resource.plural, resource.kind)


@row(38, "Custom Resource Definition, discovery")
def test_custom_resource_definition_resources_are_in_the_discovery_documents(api: Api) -> None:
    name = "apiextensions.k8s.io"
    groups = {group["name"]: group for group in api.get("/apis")["groups"]}
    assert f"{name}/v1" in [version["groupVersion"] for version in groups[name]["versions"]]
    assert f"{name}/v1" in [version["groupVersion"] for version in api.get(f"/apis/{name}")["versions"]]
    resources = [resource["name"] for resource in api.get(f"/apis/{name}/v1")["resources"]]
    assert "customresourcedefinitions" in resources


@row(49, "Discovery, confirm the groupVerion and a resourcefrom each apiGroup")
def test_discovery_locates_the_groupversion_and_a_resource_within_each_apigroup(api: Api) -> None:
    groups = api.get("/apis")["groups"]
    assert groups
    for group in groups:
        for version in group["versions"]:
            document = api.get(f"/apis/{version['groupVersion']}")
            assert document["kind"] == "APIResourceList"
            assert document["groupVersion"] == version["groupVersion"]
            assert document["resources"], f"{version['groupVersion']} has no resource"


@row(50, "Discovery, confirm the PreferredVersion for each api group")
def test_discovery_validates_the_preferredversion_for_each_apigroup(api: Api) -> None:
    for group in api.get("/apis")["groups"]:
        if group["name"].endswith(".example.com"):
            continue  # of a test that runs beside
        preferred = group["preferredVersion"]
        assert preferred in group["versions"]
        assert api.get(f"/apis/{group['name']}")["preferredVersion"] == preferred


@row(90, "API metadata HTTP return")
def test_a_backend_that_does_not_implement_metadata_answers_a_table_request_with_406(api: Api) -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = api.call("POST", path, review, headers={"Accept": TABLE})
    assert answer.status == 406
    assert answer.json["reason"] == "NotAcceptable"
    assert api.create(path, review)["status"]["allowed"] is True
    assert api.must("GET", "/api/v1/pods", headers={"Accept": TABLE})["kind"] == "Table"


@row(101, "Confirm a server version")
def test_the_server_version_is_found(api: Api) -> None:
    version = api.get("/version")
    for part in ("major", "minor"):
        assert re.sub(r"\D", "", version[part]).isdigit(), version
