"""Who is listed where, which APIService objects there are, and what makes one unavailable: tables."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.aggregator.apiservices import Entry, builtin_priority, entry_of, in_order
from apiserver.aggregator.availability import LOCAL, Condition, assess, with_condition
from apiserver.aggregator.documents import BadDocument, check_publishable, read_index, read_openapi_v3, read_resources
from apiserver.aggregator.frontproxy import identity_headers
from apiserver.aggregator.registration import ALWAYS, LABEL, ON_START, plan, wanted
from apiserver.outbound import ServiceReference
from apiserver.request import User
from tiphys.api.kinds import builtin_registry

Obj = dict[str, Any]


def entry(group: str, version: str, group_priority: int, version_priority: int, *, local: bool = False) -> Entry:
    service = None if local else ServiceReference("default", "s")
    return Entry(f"{version}.{group}", group, version, service, b"", False, group_priority, version_priority, True)


def test_groups_stand_in_the_order_of_their_priorities_and_versions_in_that_of_theirs() -> None:
    local = {"": ["v1"], "apps": ["v1"], "autoscaling": ["v1", "v2"], "a.example.com": ["v1beta1", "v1", "v2"],
             "apiregistration.k8s.io": ["v1"], "apiextensions.k8s.io": ["v1"]}  # fmt: skip
    entries = [
        entry("high.example.com", "v1alpha1", 19000, 1),
        entry("high.example.com", "v1", 10, 1),
        entry("b.example.com", "v1", 1000, 100),
        entry("b.example.com", "v2", 1000, 200),
        entry("a.example.com", "v1", 999, 300, local=True),
        entry("gone.example.com", "v1", 9999, 1, local=True),
    ]
    assert in_order(local, entries) == [
        ("apiregistration.k8s.io", ["v1"]),
        ("high.example.com", ["v1", "v1alpha1"]),
        ("apps", ["v1"]),
        ("autoscaling", ["v2", "v1"]),
        ("apiextensions.k8s.io", ["v1"]),
        ("a.example.com", ["v1", "v2", "v1beta1"]),
        ("b.example.com", ["v2", "v1"]),
    ]


def test_every_group_of_ours_has_a_priority_of_its_own() -> None:
    for info in builtin_registry().all():
        assert info.group == "apiregistration.k8s.io" or builtin_priority(info.group, info.version)[0] > 16000, info


def an_object(label: str, version_priority: int = 15) -> Obj:
    labels = {LABEL: label} if label else {}
    return {"metadata": {"name": "x", "labels": labels}, "spec": {"versionPriority": version_priority}}


PLANS: list[tuple[str, Obj | None, Obj | None, dict[str, Any], str]] = [
    ("nothing there, kept at start", an_object(ON_START), None, {"starting": True}, "create"),
    ("nothing there later", an_object(ON_START), None, {"starting": False}, ""),
    ("nothing there, always kept", an_object(ALWAYS), None, {"starting": False}, "create"),
    ("somebody else's", an_object(ALWAYS, 9), an_object(""), {"starting": True, "at_start": ["x"]}, ""),
    ("somebody else's, not wanted", None, an_object(""), {"starting": True, "at_start": ["x"]}, ""),
    ("old at start", an_object(ON_START, 9), an_object(ON_START), {"starting": True, "at_start": ["x"]}, "update"),
    ("changed by somebody later", an_object(ON_START, 9), an_object(ON_START), {"starting": False}, ""),
    ("not there at start", an_object(ON_START, 9), an_object(ON_START), {"starting": True}, ""),
    ("no longer served, at start", None, an_object(ON_START), {"starting": True, "at_start": ["x"]}, "delete"),
    ("no longer served", None, an_object(ALWAYS), {"starting": False}, "delete"),
    ("always kept and changed", an_object(ALWAYS, 9), an_object(ALWAYS), {"starting": False}, "update"),
    ("as it should be", an_object(ALWAYS), an_object(ALWAYS), {"starting": False}, ""),
]


@pytest.mark.parametrize(("case", "want", "have", "when", "does"), PLANS, ids=[one[0] for one in PLANS])
def test_what_is_done_about_an_object(case: str, want: Obj | None, have: Obj | None, when: Any, does: str) -> None:
    made = plan({"x": want} if want else {}, {"x": have} if have else {}, **when)
    found = [name for name in ("create", "update", "delete") if getattr(made, name)]
    assert found == ([does] if does else [])


def test_the_objects_of_our_groups() -> None:
    found = wanted(builtin_registry().all())
    assert found["v1."]["spec"] == {"version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1}
    assert "v1.apiregistration.k8s.io" not in found and len(found) > 18


SERVICE: Obj = {"spec": {"type": "ClusterIP", "ports": [{"port": 443, "name": "https"}, {"port": 80}]}}
READY: Obj = {"endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"name": "https", "port": 8443}]}
UNREADY = {**READY, "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": False}}]}
CASES: list[tuple[Obj | None, list[Obj], str]] = [
    (None, [], "ServiceNotFound"),
    ({"spec": {"ports": [{"port": 80}]}}, [READY], "ServicePortError"),
    (SERVICE, [], "EndpointsNotFound"),
    (SERVICE, [UNREADY], "MissingEndpoints"),
    (SERVICE, [{**READY, "ports": [{"name": "other", "port": 8443}]}], "MissingEndpoints"),
    (SERVICE, [UNREADY, READY], ""),
    ({"spec": {"type": "ExternalName", "externalName": "a"}}, [], ""),
]


@pytest.mark.parametrize(("service", "slices", "reason"), CASES)
def test_what_stored_objects_say_about_a_server(service: Obj | None, slices: list[Obj], reason: str) -> None:
    found = assess(entry("a.example.com", "v1", 1, 1), service, slices)
    assert ("" if found is None else found.reason) == reason
    assert assess(entry("a.example.com", "v1", 1, 1, local=True), service, slices) is LOCAL


def test_the_transition_time_moves_with_the_status_only() -> None:
    first = with_condition({}, Condition("False", "A", "a"), "t1")
    second = with_condition(first, Condition("False", "B", "b"), "t2")
    (condition,) = second["status"]["conditions"]
    assert (condition["lastTransitionTime"], condition["reason"]) == ("t1", "B")
    assert with_condition(second, Condition("False", "B", "b"), "t3") is second
    assert with_condition(second, LOCAL, "t3")["status"]["conditions"][0]["lastTransitionTime"] == "t3"


def test_headers_carry_the_user_whatever_is_in_the_name() -> None:
    user = User("a\r\nX-Remote-Group: b", ("g", "h"), "7", {"example.com/k%": ("v",)})
    assert identity_headers(user) == [
        ("X-Remote-User", "a  X-Remote-Group: b"),
        ("X-Remote-Uid", "7"),
        ("X-Remote-Group", "g"),
        ("X-Remote-Group", "h"),
        ("X-Remote-Extra-example.com%2Fk%25", "v"),
    ]


BAD_LISTS: list[Any] = [
    None,
    [],
    {},
    {"kind": "APIResourceList", "groupVersion": "other/v1"},
    {"kind": "APIResourceList", "groupVersion": "g/v1", "resources": [1]},
    {"kind": "APIResourceList", "groupVersion": "g/v1", "resources": [{"name": "a", "verbs": "get"}]},
    {"kind": "APIResourceList", "groupVersion": "g/v1", "resources": [{"name": {}}]},
]


@pytest.mark.parametrize("document", BAD_LISTS)
def test_a_list_of_resources_that_is_none_is_refused(document: Any) -> None:
    with pytest.raises(BadDocument):
        read_resources(document, "g", "v1")


@pytest.mark.parametrize("url", ["//evil/x", "http://evil/x", 5, "x"])
def test_an_index_cannot_lead_elsewhere(url: Any) -> None:
    with pytest.raises(BadDocument):
        read_index({"paths": {"apis/g/v1": {"serverRelativeURL": url}}}, "g", "v1")
    assert read_index({"paths": {}}, "g", "v1") == ""


def test_a_schema_is_of_kinds_of_its_own_group_version_only() -> None:
    own, other = {"group": "g", "version": "v1", "kind": "A"}, {"group": "", "version": "v1", "kind": "Pod"}
    schemas = {"a": {"type": "object", "x-kubernetes-group-version-kind": [other, own]},
               "b": {"x-kubernetes-group-version-kind": [other]}}  # fmt: skip
    document = {"info": {}, "paths": {}, "components": {"schemas": schemas}}
    found = read_openapi_v3(document, "g", "v1")["components"]["schemas"]
    assert found["a"]["x-kubernetes-group-version-kind"] == [own] and found["b"] == {}


def test_a_document_with_a_reference_into_nothing_is_refused() -> None:
    good: Obj = {"info": {"version": "1"}, "components": {"schemas": {"a": {"type": "object"}}}, "paths": {}}
    assert read_openapi_v3(good, "g", "v1")["components"] == good["components"]
    bad = {**good, "components": {"schemas": {"a": {"$ref": "#/components/schemas/b"}}}}
    with pytest.raises(BadDocument):
        read_openapi_v3(bad, "g", "v1")


ODD: list[Obj] = [
    {"parameters": 5},
    {"get": {"responses": {"200": 7}}},
    {"get": {"responses": {"200": {"content": {"application/json": {}}}}}},
    {"get": {"responses": {}, "requestBody": {"content": {"a/b": 3}}}},
    {"get": {"responses": {}, "parameters": [{"in": "query"}]}},
]


@pytest.mark.parametrize("item", ODD)
def test_a_document_that_would_spoil_the_one_of_all_is_refused(item: Obj) -> None:
    def document(path_item: Obj) -> Obj:
        return {
            "info": {"version": "1"},
            "components": {"schemas": {}},
            "paths": {"/apis/g/v1/x": path_item, "/apis/other/v1/x": path_item},
        }

    good = read_openapi_v3(document({"get": {"responses": {"200": {"description": "OK"}}}}), "g", "v1")
    check_publishable(good)
    assert list(good["paths"]) == ["/apis/g/v1/x"]
    with pytest.raises(BadDocument):
        check_publishable(read_openapi_v3(document(item), "g", "v1"))


def test_an_entry_of_an_object_with_a_broken_bundle_believes_nobody_more() -> None:
    spec = {"group": "g", "version": "v1", "service": {"namespace": "n", "name": "s"}, "caBundle": "!"}
    found = entry_of({"metadata": {"name": "v1.g"}, "spec": spec})
    assert found.ca_bundle == b"" and found.service == ServiceReference("n", "s", 443) and not found.available
