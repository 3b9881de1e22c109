"""What becomes of a namespace's pods when it is deleted: they go first, and nothing of them comes back."""

from __future__ import annotations

from tests.conformance.api import eventually
from tests.conformance.node.case import Case
from tests.conformance.node.manifests import container, pod
from tests.conformance.rows import row


@row(72, "namespace-deletion-removes-pods")
def test_all_pods_go_with_their_namespace(case: Case) -> None:
    name = case.new_namespace()
    case.run(pod("inside", container(case.images.agnhost)))
    case.api.delete(f"/api/v1/namespaces/{name}")
    eventually(lambda: case.api.find(f"/api/v1/namespaces/{name}") is None, "the namespace is gone", 90, 0.3)
    again = case.new_namespace(name)
    assert case.api.items(f"/api/v1/namespaces/{again}/pods") == []


@row(75, "Ordered Namespace Deletion")
def test_pods_are_deleted_before_the_rest(case: Case) -> None:
    name = case.new_namespace()
    made = pod("held", container(case.images.agnhost))
    made["metadata"]["finalizers"] = ["e2e.example.com/finalizer"]
    held = case.create(made)
    case.config_map("settings", {"key": "value"})
    case.running(held)
    case.api.delete(f"/api/v1/namespaces/{name}")

    def has_condition() -> bool:
        conditions = case.api.get(f"/api/v1/namespaces/{name}")["status"].get("conditions", [])
        return any(c["type"] == "NamespaceDeletionContentFailure" for c in conditions)

    eventually(has_condition, "the namespace says what is left", 60, 0.3)
    assert case.pod(held)["metadata"]["deletionTimestamp"]
    assert case.api.find(case.path("configmaps", "settings")) is not None
    case.api.patch(case.path("pods", held), {"metadata": {"finalizers": None}})
    eventually(lambda: case.api.find(f"/api/v1/namespaces/{name}") is None, "the namespace is gone", 90, 0.3)
