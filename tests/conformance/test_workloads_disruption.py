"""PodDisruptionBudgets: their API, their counts, and evictions that ask them."""

from __future__ import annotations

from typing import Any

from tests.conformance.api import Api, Object, eventually
from tests.conformance.rows import row
from tests.conformance.workloads import SECONDS, apps, path, ready_pods, wait, workload


def budgets(namespace: str, name: str = "") -> str:
    return path(namespace, "poddisruptionbudgets", name, "policy")


def budget(name: str = "keep", labels: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


def processed(api: Api, namespace: str, name: str = "keep") -> Object:
    """The controller has seen the budget as it is now."""

    def holds(obj: Object) -> bool:
        return bool((obj.get("status") or {}).get("observedGeneration") == obj["metadata"]["generation"])

    return wait(api, budgets(namespace, name), holds, "is processed")


def evict(api: Api, namespace: str, name: str) -> int:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
    return api.call("POST", f"{path(namespace, 'pods', name)}/eviction", body).status


@row(123, "PodDisruptionBudget: list and delete collection")
def test_budgets_are_listed_and_deleted_as_a_collection(api: Api, namespace: str, unique: str) -> None:
    labels, label = {"conformance-test": unique}, f"conformance-test={unique}"
    for number in range(3):
        api.create(budgets(namespace), budget(f"keep-{number}", labels, minAvailable=number))
        processed(api, namespace, f"keep-{number}")
    assert len(api.items(budgets(""), label)) == 3
    api.delete(budgets(namespace), labelSelector=label)
    eventually(lambda: not api.items(budgets(namespace), label), "no budget is left", SECONDS)


@row(124, "PodDisruptionBudget: block an eviction until the PDB is updated to allow it")
def test_an_eviction_waits_for_the_budget(api: Api, namespace: str) -> None:
    api.create(apps(namespace, "replicasets"), workload("web", 3))
    found = [pod["metadata"]["name"] for pod in ready_pods(api, namespace, "web", 3)]
    api.create(budgets(namespace), budget(minAvailable=3))
    wait(api, budgets(namespace, "keep"), lambda obj: obj["status"].get("currentHealthy") == 3, "three healthy pods")
    assert evict(api, namespace, found[0]) == 429
    api.patch(budgets(namespace, "keep"), {"spec": {"minAvailable": 2}})
    eventually(lambda: evict(api, namespace, found[0]) == 201, "the eviction is allowed", SECONDS)
    left = [pod["metadata"]["name"] for pod in ready_pods(api, namespace, "web", 3)]
    api.patch(budgets(namespace, "keep"), {"spec": {"minAvailable": 3}})
    wait(api, budgets(namespace, "keep"), lambda obj: obj["status"].get("currentHealthy") == 3, "three healthy pods")
    processed(api, namespace)
    assert evict(api, namespace, left[0]) == 429
    api.delete(budgets(namespace, "keep"))
    eventually(lambda: evict(api, namespace, left[0]) == 201, "nothing forbids it any more", SECONDS)


@row(125, "PodDisruptionBudget: create, update, patch, and delete object")
def test_a_budget_is_created_updated_patched_and_deleted(api: Api, namespace: str) -> None:
    api.create(budgets(namespace), budget(minAvailable=1))
    processed(api, namespace)
    api.update(budgets(namespace, "keep"), lambda obj: obj["spec"].update(minAvailable=2))
    assert processed(api, namespace)["spec"]["minAvailable"] == 2
    api.patch(budgets(namespace, "keep"), {"spec": {"minAvailable": "30%"}})
    assert processed(api, namespace)["spec"]["minAvailable"] == "30%"
    api.delete(budgets(namespace, "keep"))
    api.refused(404, "GET", budgets(namespace, "keep"))


@row(126, "PodDisruptionBudget: Status updates")
def test_a_budget_says_how_many_pods_may_go(api: Api, namespace: str) -> None:
    api.create(apps(namespace, "replicasets"), workload("web", 3))
    api.create(budgets(namespace), budget(minAvailable=1))
    found = wait(api, budgets(namespace, "keep"), lambda obj: obj["status"].get("disruptionsAllowed"), "some may go")
    ready_pods(api, namespace, "web", 3)
    assert found["status"]["disruptionsAllowed"] > 0


@row(127, "PodDisruptionBudget: update and patch status")
def test_the_status_of_a_budget_is_written(api: Api, namespace: str) -> None:
    api.create(apps(namespace, "replicasets"), workload("web", 3))
    ready_pods(api, namespace, "web", 3)
    api.create(budgets(namespace), budget(minAvailable=1))
    wait(api, budgets(namespace, "keep"), lambda obj: obj["status"].get("currentHealthy") == 3, "three healthy pods")
    one = f"{budgets(namespace, 'keep')}/status"
    at = "2099-01-02T03:04:05Z"
    names = [pod["metadata"]["name"] for pod in ready_pods(api, namespace, "web", 3)]
    updated = api.update(one, lambda obj: obj["status"].update(disruptedPods={names[0]: at}))
    assert updated["status"]["disruptedPods"] == {names[0]: at}
    patched = api.patch(one, {"status": {"disruptedPods": {names[0]: None, names[1]: at}}})
    assert patched["status"]["disruptedPods"] == {names[1]: at}
