"""What a rule matches, what covers what, and how default roles are put right: tables."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.authorization.aggregation import aggregated_rules
from apiserver.authorization.coverage import compact, missing
from apiserver.authorization.defaultbindings import AUTOUPDATE, default_objects
from apiserver.authorization.reconciliation import reconciled
from apiserver.authorization.rules import Rule, from_wire, path_rule, rule
from apiserver.requestinfo import RequestInfo


def on(verb: str, resource: str, group: str = "", name: str = "", namespace: str = "") -> RequestInfo:
    resource, _, subresource = resource.partition("/")
    return RequestInfo(
        "",
        verb,
        is_resource=True,
        group=group,
        version="v1",
        namespace=namespace,
        resource=resource,
        subresource=subresource,
        name=name,
    )


RESOURCE_CASES = [
    (rule("get", "core", "pods"), on("get", "pods"), True),
    (rule("get", "core", "pods"), on("list", "pods"), False),
    (rule("*", "core", "pods"), on("anything", "pods"), True),
    (rule("get", "core", "pods"), on("get", "pods", "apps"), False),
    (rule("get", "*", "pods"), on("get", "pods", "apps"), True),
    (rule("get", "core", "pods"), on("get", "pods/log"), False),
    (rule("get", "core", "pods/log"), on("get", "pods/log"), True),
    (rule("get", "core", "pods/log"), on("get", "pods"), False),
    (rule("get", "core", "*/log"), on("get", "pods/log"), True),
    (rule("get", "core", "*/scale"), on("get", "pods/log"), False),
    (rule("get", "core", "pods/*"), on("get", "pods/log"), False),
    (rule("get", "core", "*"), on("get", "pods/log"), True),
    (rule("get", "core", "pods", "a b"), on("get", "pods", name="b"), True),
    (rule("get", "core", "pods", "a b"), on("get", "pods", name="c"), False),
    (rule("create", "core", "pods", "a"), on("create", "pods"), False),
    (path_rule("get", "*"), on("get", "pods"), False),
    (Rule(("get",), ("",), ()), on("get", "pods"), False),
]
PATH_CASES = [
    ("/healthz", "/healthz", True),
    ("/healthz", "/healthz/etcd", False),
    ("/healthz/*", "/healthz/etcd", True),
    ("/healthz/*", "/healthz", False),
    ("/api*", "/apis", True),
    ("*", "/anything", True),
    ("/a/*/b", "/a/x/b", False),
]


@pytest.mark.parametrize(("given", "info", "allowed"), RESOURCE_CASES)
def test_a_rule_allows_what_it_names(given: Rule, info: RequestInfo, allowed: bool) -> None:
    assert given.allows(info) is allowed


@pytest.mark.parametrize(("pattern", "path", "allowed"), PATH_CASES)
def test_a_path_rule_matches_whole_paths_and_prefixes(pattern: str, path: str, allowed: bool) -> None:
    assert path_rule("get", pattern).allows(RequestInfo(path, "get")) is allowed
    assert not path_rule("get", pattern).allows(RequestInfo(path, "post"))


COVER_CASES = [
    ("get list", "core", "pods", "", rule("get", "core", "pods"), []),
    (
        "get",
        "core",
        "pods",
        "",
        rule("get list", "core", "pods"),
        ['{APIGroups:[""], Resources:["pods"], Verbs:["list"]}'],
    ),
    ("*", "*", "*", "", rule("get", "apps", "deployments/scale", "x"), []),
    ("get", "core", "*/log", "", rule("get", "core", "pods/log"), []),
    ("get", "core", "pods", "a", rule("get", "core", "pods", "a"), []),
    ("get", "core", "pods", "a", rule("get", "core", "pods"), ['{APIGroups:[""], Resources:["pods"], Verbs:["get"]}']),
    (
        "get",
        "core",
        "pods",
        "a",
        rule("get list", "core", "pods", "b"),
        ['{APIGroups:[""], Resources:["pods"], ResourceNames:["b"], Verbs:["get" "list"]}'],
    ),
    (
        "get list watch create",
        "apps",
        "*",
        "",
        rule("*", "apps", "deployments"),
        ['{APIGroups:["apps"], Resources:["deployments"], Verbs:["*"]}'],
    ),
]


@pytest.mark.parametrize(("verbs", "groups", "resources", "names", "wanted", "lacking"), COVER_CASES)
def test_a_right_is_covered_by_a_single_rule_or_missing(
    verbs: str, groups: str, resources: str, names: str, wanted: Rule, lacking: list[str]
) -> None:
    owned = [rule(verbs, groups, resources, names)]
    assert [str(one) for one in compact(missing(owned, [wanted]))] == lacking


def test_paths_are_covered_by_prefixes_and_only_by_paths() -> None:
    assert missing([path_rule("get", "/api/*")], [path_rule("get", "/api/v1")]) == []
    assert missing([path_rule("get", "/api/v1")], [path_rule("get", "/api/*")]) == [path_rule("get", "/api/*")]
    assert missing([rule("*", "*", "*")], [path_rule("get", "/x")]) == [path_rule("get", "/x")]
    assert str(path_rule("get", "/x /y")) == '{NonResourceURLs:["/x" "/y"], Verbs:["get"]}'


def test_rules_survive_the_wire() -> None:
    for one in (rule("get list", "core apps", "pods pods/log", "a b"), path_rule("get", "/x")):
        assert from_wire(one.to_wire()) == one


def role(name: str, rules: list[dict[str, Any]] | None = None, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "rules": rules}


def test_an_aggregated_role_has_each_rule_once_in_the_order_of_the_roles_names() -> None:
    first, second, third = (rule("get", "core", word).to_wire() for word in ("a", "b", "c"))
    whole = {
        **role("whole", [third], to="it"),
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "it"}}]},
    }
    roles = [role("z", [second, first], to="it"), role("a", [first], to="it"), role("other", [third]), whole]
    assert aggregated_rules(whole, roles) == [first, second]


def test_reconciling_adds_what_is_missing_and_takes_nothing_away() -> None:
    wanted = next(one for one in default_objects()["clusterroles"] if one["metadata"]["name"] == "system:basic-user")
    extra = rule("get", "core", "pods").to_wire()
    found: dict[str, Any] = {
        "metadata": {"name": "system:basic-user", "labels": {"mine": "yes"}},
        "rules": [extra, wanted["rules"][0]],
    }
    new = reconciled(found, wanted)
    assert new["rules"] == [*found["rules"], wanted["rules"][1]]
    assert new["metadata"]["labels"] == {"kubernetes.io/bootstrapping": "rbac-defaults", "mine": "yes"}
    assert reconciled(new, wanted) == new
    owned = {**found, "metadata": {**found["metadata"], "annotations": {AUTOUPDATE: "false"}}}
    assert reconciled(owned, wanted) is owned


def test_reconciling_a_binding_adds_its_subjects_and_points_it_back() -> None:
    wanted = next(
        one for one in default_objects()["clusterrolebindings"] if one["metadata"]["name"] == "system:discovery"
    )
    mine = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "me"}
    found = {"metadata": {"name": "system:discovery"}, "roleRef": {"name": "other"}, "subjects": [mine]}
    new = reconciled(found, wanted)
    assert new["subjects"] == [mine, *wanted["subjects"]] and new["roleRef"] == wanted["roleRef"]


def test_the_default_objects_are_named_once_and_bound_to_roles_that_exist() -> None:
    objects = default_objects()
    roles = {one["metadata"]["name"] for one in objects["clusterroles"]}
    assert len(roles) == len(objects["clusterroles"])
    assert {one["roleRef"]["name"] for one in objects["clusterrolebindings"]} <= roles
    own = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in objects["roles"]}
    assert {(one["metadata"]["namespace"], one["roleRef"]["name"]) for one in objects["rolebindings"]} <= own
