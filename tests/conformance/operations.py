"""What every resource must support: discovery and all verbs, seen by a watch on the way.

`check_api_operations` walks one resource through all of them; a row adds what is its own.  The objects carry a label
of the test, so that nothing else in the cluster is seen or touched.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.api import Api, Object, Watch

LABEL = "conformance-test"
VERBS = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}


@dataclass(frozen=True, slots=True)
class Resource:
    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    subresources: tuple[str, ...] = ()

    @property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        return f"/apis/{self.group_version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The collection (of a namespace, or of all), the object, or the object's subresource."""
        scope = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        rest = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{self.root}{scope}/{self.plural}{rest}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One resource with objects for it.  `example(name)` needs no metadata but what is its own."""

    resource: Resource
    example: Callable[[str], Object]
    label: str  # the value of the test's label
    namespaces: tuple[str, ...] = ("",)  # where the objects go: the first takes most, each further one takes one
    change: Callable[[Object], None] | None = None  # what an update changes besides an annotation
    status: Mapping[str, Any] = field(default_factory=dict)  # what PATCH and PUT of /status write into status

    @property
    def selector(self) -> str:
        return f"{LABEL}={self.label}"

    def build(self, name: str) -> Object:
        obj = copy.deepcopy(self.example(name))
        metadata = obj.setdefault("metadata", {})
        metadata["name"] = f"{name}-{self.label}"
        metadata.setdefault("labels", {})[LABEL] = self.label
        return {"apiVersion": self.resource.group_version, "kind": self.resource.kind, **obj}


def check_discovery(api: Api, resource: Resource) -> None:
    """The group, its version and the resource (with its subresources) are advertised."""
    if resource.group:
        groups = {group["name"]: group for group in api.get("/apis")["groups"]}
        assert resource.group in groups
        group = api.get(f"/apis/{resource.group}")
        for found in (group, groups[resource.group]):
            assert resource.group_version in [version["groupVersion"] for version in found["versions"]]
    document = api.get(resource.root)
    assert document["groupVersion"] == resource.group_version
    resources = {found["name"]: found for found in document["resources"]}
    found = resources[resource.plural]
    assert (found["kind"], found["namespaced"]) == (resource.kind, resource.namespaced)
    assert set(found["verbs"]) >= VERBS
    for name in resource.subresources:
        assert {"get", "patch", "update"} <= set(resources[f"{resource.plural}/{name}"]["verbs"])


def check_api_operations(api: Api, scenario: Scenario) -> None:
    """Every verb on `resource`: create, get, list, watch, patch, update, status, delete, deletecollection."""
    resource, selector, home = scenario.resource, scenario.selector, scenario.namespaces[0]
    check_discovery(api, resource)
    everywhere, here = resource.path(), resource.path(home)
    version = api.get(everywhere, labelSelector=selector)["metadata"]["resourceVersion"]
    with (
        api.watch(everywhere, labelSelector=selector, resourceVersion=version) as cluster_watch,
        api.watch(here, labelSelector=selector, resourceVersion=version) as home_watch,
    ):
        watches = [cluster_watch, home_watch]
        names = _check_creation(api, scenario, watches)
        elsewhere = _create_elsewhere(api, scenario)
        _check_reading(api, scenario, names, elsewhere)
        _check_writing(api, scenario, names[0], watches)
        if scenario.status:
            check_status(api, resource.path(home, names[0], "status"), scenario.status)
        api.delete(resource.path(home, names[0]))
        for watch in watches:
            watch.wait("DELETED", names[0])
        api.gone(resource.path(home, names[0]))
        api.delete(here, labelSelector=selector)
        for watch in watches:
            watch.wait("DELETED", names[-1])
    assert api.items(here, selector) == []
    assert sorted(obj["metadata"]["name"] for obj in api.items(everywhere, selector)) == sorted(elsewhere)


def _check_creation(api: Api, scenario: Scenario, watches: list[Watch]) -> list[str]:
    names = []
    for number in range(3):
        sent = scenario.build(f"example-{number}")
        made = api.create(scenario.resource.path(scenario.namespaces[0]), sent)
        assert all(made["metadata"][key] for key in ("uid", "resourceVersion", "creationTimestamp"))
        assert made["metadata"]["labels"] == sent["metadata"]["labels"]
        names.append(made["metadata"]["name"])
        for watch in watches:
            assert watch.wait("ADDED", names[-1])["metadata"]["uid"] == made["metadata"]["uid"]
    again = scenario.build("example-0")
    assert api.refused(409, "POST", scenario.resource.path(scenario.namespaces[0]), again)["reason"] == "AlreadyExists"
    return names


def _create_elsewhere(api: Api, scenario: Scenario) -> list[str]:
    """One object in each further namespace; deletecollection at home must leave them."""
    names = []
    for number, namespace in enumerate(scenario.namespaces[1:]):
        made = api.create(scenario.resource.path(namespace), scenario.build(f"elsewhere-{number}"))
        names.append(made["metadata"]["name"])
    return names


def _check_reading(api: Api, scenario: Scenario, names: list[str], elsewhere: list[str]) -> None:
    resource, home = scenario.resource, scenario.namespaces[0]
    got = api.get(resource.path(home, names[0]))
    assert (got["apiVersion"], got["kind"]) == (resource.group_version, resource.kind)
    assert got["metadata"]["name"] == names[0]
    found = api.get(resource.path(home), labelSelector=scenario.selector)
    assert (found["apiVersion"], found["kind"]) == (resource.group_version, f"{resource.kind}List")
    assert [obj["metadata"]["name"] for obj in found["items"]] == sorted(names)
    everywhere = api.items(resource.path(), scenario.selector)
    assert sorted(obj["metadata"]["name"] for obj in everywhere) == sorted(names + elsewhere)
    assert api.items(resource.path(home), f"{LABEL}=nobody") == []


def _check_writing(api: Api, scenario: Scenario, name: str, watches: list[Watch]) -> None:
    path = scenario.resource.path(scenario.namespaces[0], name)
    before = api.get(path)
    patched = api.patch(path, {"metadata": {"annotations": {"patched": "true"}}})
    assert patched["metadata"]["annotations"]["patched"] == "true"
    assert patched["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
    for watch in watches:
        watch.wait("MODIFIED", name, lambda obj: obj["metadata"]["annotations"].get("patched") == "true")

    def change(obj: Object) -> None:
        obj["metadata"]["annotations"]["updated"] = "true"
        if scenario.change is not None:
            scenario.change(obj)

    updated = api.update(path, change)
    assert updated["metadata"]["annotations"] == {**patched["metadata"]["annotations"], "updated": "true"}
    if scenario.change is not None:
        wanted = copy.deepcopy(updated)
        scenario.change(wanted)
        assert wanted == updated, "the change was not stored"
    for watch in watches:
        watch.wait("MODIFIED", name, lambda obj: obj["metadata"]["annotations"].get("updated") == "true")
    stale = {**updated, "metadata": {**updated["metadata"], "resourceVersion": before["metadata"]["resourceVersion"]}}
    assert api.refused(409, "PUT", path, stale)["reason"] == "Conflict"


def check_status(api: Api, path: str, status: Mapping[str, Any]) -> None:
    """GET, PATCH and PUT of a status subresource: what is written is read again, and the spec stays."""
    before = api.get(path)
    patched = api.patch(path, {"metadata": {"annotations": {"statuspatched": "true"}}, "status": status})
    assert patched["metadata"]["annotations"]["statuspatched"] == "true"
    _check_contains(patched["status"], status)
    assert patched.get("spec") == before.get("spec")

    def change(obj: Object) -> None:
        obj["metadata"]["annotations"]["statusupdated"] = "true"
        obj["status"].update(copy.deepcopy(dict(status)))

    updated = api.update(path, change)
    assert updated["metadata"]["annotations"]["statusupdated"] == "true"
    _check_contains(updated["status"], status)
    _check_contains(api.get(path.removesuffix("/status"))["status"], status)


def _check_contains(found: Any, wanted: Any) -> None:
    """Every member of `wanted` stands in `found`, at every depth of objects."""
    if isinstance(wanted, Mapping):
        for key, value in wanted.items():
            assert key in found, f"{key} is not in {found}"
            _check_contains(found[key], value)
    elif isinstance(wanted, list) and wanted and isinstance(wanted[0], Mapping):
        for value in wanted:
            assert any(_is_inside(value, one) for one in found), f"{value} is not in {found}"
    else:
        assert found == wanted


def _is_inside(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return all(found.get(key) == value for key, value in wanted.items())
