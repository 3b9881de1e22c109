"""The owner graph and what is done about one object."""

from typing import Any

import pytest

from controllers.garbagecollector_graph import Action, Graph, Node, OwnerState, plan
from tiphys.api.meta import ObjectMeta
from tiphys.client.discovery import ServedResource

PODS = ServedResource("", "v1", "pods", "Pod", True, frozenset({"delete", "list", "watch"}))
NAMESPACES = ServedResource("", "v1", "namespaces", "Namespace", False, frozenset({"delete", "list", "watch"}))
DELETED = "2026-01-02T03:04:05Z"


def metadata(uid: str, *owners: str, block: bool = True, namespace: str = "ns", **fields: Any) -> ObjectMeta:
    references = [
        {"apiVersion": "v1", "kind": "Pod", "name": owner, "uid": owner, "blockOwnerDeletion": block}
        for owner in owners
    ]
    return ObjectMeta.model_validate(
        {"name": uid, "uid": uid, "namespace": namespace, "ownerReferences": references, **fields}
    )


def node(uid: str, *owners: str, resource: ServedResource = PODS, **fields: Any) -> Node:
    return Node(resource, metadata(uid, *owners, **fields))


def foreground(uid: str, *owners: str) -> Node:
    return node(uid, *owners, deletionTimestamp=DELETED, finalizers=["foregroundDeletion"])


def test_an_object_with_a_living_owner_is_left_alone() -> None:
    graph = Graph()
    assert graph.put(node("owner")) == set()
    assert graph.put(node("child", "owner")) == set()


def test_an_object_whose_owner_is_unknown_is_looked_at() -> None:
    assert Graph().put(node("child", "owner")) == {"child"}


def test_when_an_owner_goes_its_dependents_are_looked_at() -> None:
    graph = Graph()
    for each in (node("owner"), node("a", "owner"), node("b", "owner", "other")):
        graph.put(each)
    assert graph.drop("owner") == {"a", "b"}


def test_a_foreground_deletion_looks_at_the_owner_and_its_dependents_and_at_the_owner_when_one_goes() -> None:
    graph = Graph()
    for each in (node("owner"), node("a", "owner"), node("b", "owner")):
        graph.put(each)
    assert graph.put(foreground("owner")) == {"owner", "a", "b"}
    assert graph.drop("a") == {"owner"}
    assert [left.uid for left in graph.dependents("owner")] == ["b"]


def test_a_reference_that_is_taken_away_frees_the_waiting_owner() -> None:
    graph = Graph()
    graph.put(foreground("owner"))
    graph.put(node("a", "owner"))
    assert "owner" in graph.put(node("a"))
    assert graph.dependents("owner") == []


def test_an_owner_in_another_namespace_is_questionable_a_cluster_scoped_one_is_not() -> None:
    graph = Graph()
    graph.put(node("elsewhere", namespace="other"))
    graph.put(node("scope", resource=NAMESPACES, namespace=""))
    assert graph.put(node("child", "elsewhere")) == {"child"}
    assert graph.put(node("fine", "scope")) == set()


SOLID, ABSENT, WAITING = OwnerState.SOLID, OwnerState.ABSENT, OwnerState.WAITING


@pytest.mark.parametrize(
    ("owners", "dependents", "finalizers", "expected"),
    [
        ({}, [], [], Action()),
        ({"a": SOLID}, [], [], Action()),
        ({"a": SOLID, "b": ABSENT}, [], [], Action(remove_owners=frozenset("b"))),
        ({"a": SOLID, "b": WAITING}, [], [], Action(remove_owners=frozenset("b"))),
        ({"a": ABSENT}, [], [], Action(delete="Background")),
        ({"a": ABSENT, "b": ABSENT}, [node("d", "x")], [], Action(delete="Background")),
        ({"a": ABSENT}, [], ["orphan"], Action(delete="Orphan")),
        ({"a": ABSENT}, [], ["foregroundDeletion"], Action(delete="Foreground")),
        ({"a": WAITING}, [], [], Action(delete="Background")),
        ({"a": WAITING}, [node("d", "x")], [], Action(delete="Foreground")),
        ({"a": WAITING, "b": ABSENT}, [foreground("d", "x")], [], Action(delete="Foreground", unblock=True)),
    ],
)
def test_what_is_done_about_an_object(
    owners: dict[str, OwnerState], dependents: list[Node], finalizers: list[str], expected: Action
) -> None:
    assert plan(metadata("x", *owners, finalizers=finalizers), owners, dependents) == expected
