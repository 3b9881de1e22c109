"""pods/eviction: what a disruption budget allows, and never more."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.apiserver.cluster import Answer, Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
AT = "2026-01-02T03:04:05Z"


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def nothing_left(cluster: Cluster) -> AsyncIterator[None]:
    """A budget selects by label, so no test may leave one, or a pod, to the next."""
    yield
    for pod in (await cluster.must("GET", PODS))["items"]:
        if pod["metadata"].get("finalizers"):
            path, nothing = f"{PODS}/{pod['metadata']['name']}", {"metadata": {"finalizers": None}}
            await cluster.must("PATCH", path, nothing, content_type="application/merge-patch+json")
    await cluster.must("DELETE", f"{PODS}?gracePeriodSeconds=0")
    await cluster.must("DELETE", BUDGETS)


async def pod(cluster: Cluster, name: str, *, ready: bool = True, phase: str = "Running") -> None:
    spec = {"containers": [{"name": "c", "image": "app:1"}], "terminationGracePeriodSeconds": 0}
    body = {"metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec}
    await cluster.must("POST", PODS, body)
    condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": AT}
    status = {"status": {"phase": phase, "conditions": [condition]}}
    merge = "application/merge-patch+json"
    await cluster.must("PATCH", f"{PODS}/{name}/status", status, content_type=merge)


async def budget(cluster: Cluster, name: str = "keep", *, status: dict[str, Any], **spec: Any) -> None:
    body = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec}}
    made = await cluster.must("POST", BUDGETS, body)
    made["status"] = {"observedGeneration": 1, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0, **status}
    await cluster.must("PUT", f"{BUDGETS}/{name}/status", made)


async def evict(cluster: Cluster, name: str, query: str = "", **options: Any) -> Answer:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, **options}
    return await cluster.request("POST", f"{PODS}/{name}/eviction{query}", body)


async def exists(cluster: Cluster, name: str) -> bool:
    return (await cluster.request("GET", f"{PODS}/{name}")).status == 200


async def test_of_many_evictions_at_once_only_the_allowed_ones_succeed(cluster: Cluster) -> None:
    names = [f"p{number}" for number in range(12)]
    for name in names:
        await pod(cluster, name)
    await budget(cluster, status={"disruptionsAllowed": 5, "currentHealthy": 12, "desiredHealthy": 7})
    answers = await asyncio.gather(*(evict(cluster, name) for name in names))
    assert sorted(answer.status for answer in answers) == [201] * 5 + [429] * 7
    gone = {name for name in names if not await exists(cluster, name)}
    status = (await cluster.must("GET", f"{BUDGETS}/keep"))["status"]
    assert set(status["disruptedPods"]) == gone and len(gone) == 5
    assert status["disruptionsAllowed"] == 0
    assert [(one["status"], one["reason"]) for one in status["conditions"]] == [("False", "InsufficientPods")]


async def test_a_refusal_says_which_budget_and_why(cluster: Cluster) -> None:
    await pod(cluster, "a")
    await budget(cluster, status={"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 2})
    answer = await evict(cluster, "a")
    assert answer.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Cannot evict pod as it would violate the pod's disruption budget.",
        "reason": "TooManyRequests",
        "details": {
            "causes": [
                {
                    "reason": "DisruptionBudget",
                    "message": "The disruption budget keep needs 2 healthy pods and has 1 currently",
                }
            ]
        },
        "code": 429,
    }
    assert await exists(cluster, "a")


async def test_a_budget_not_looked_at_yet_allows_nothing(cluster: Cluster) -> None:
    await pod(cluster, "a")
    await budget(cluster, status={"observedGeneration": 0, "disruptionsAllowed": 5})
    answer = await evict(cluster, "a")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "10")
    (cause,) = answer.json["details"]["causes"]
    assert cause["message"] == "The disruption budget keep is still being processed by the server."


@pytest.mark.answers_500
async def test_two_budgets_for_a_pod_are_refused(cluster: Cluster) -> None:
    await pod(cluster, "a")
    for name in ("one", "two"):
        await budget(cluster, name, status={"disruptionsAllowed": 5})
    answer = await evict(cluster, "a")
    assert answer.status == 500
    text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    assert answer.json["message"] == text


@pytest.mark.parametrize(
    ("phase", "ready", "spec", "status", "code"),
    [
        ("Pending", False, {}, {}, 201),
        ("Succeeded", False, {}, {}, 201),
        ("Running", False, {}, {"currentHealthy": 1, "desiredHealthy": 2}, 429),
        ("Running", False, {}, {"currentHealthy": 2, "desiredHealthy": 2}, 201),
        ("Running", False, {}, {"currentHealthy": 0, "desiredHealthy": 0}, 429),
        ("Running", False, {"unhealthyPodEvictionPolicy": "AlwaysAllow"}, {"desiredHealthy": 2}, 201),
        ("Running", False, {"unhealthyPodEvictionPolicy": "IfHealthyBudget"}, {"desiredHealthy": 2}, 429),
        ("Running", True, {"unhealthyPodEvictionPolicy": "AlwaysAllow"}, {"desiredHealthy": 2}, 429),
    ],
)
async def test_pods_that_serve_nobody_may_go(
    cluster: Cluster, phase: str, ready: bool, spec: dict[str, Any], status: dict[str, Any], code: int
) -> None:
    await pod(cluster, "a", phase=phase, ready=ready)
    await budget(cluster, status={"disruptionsAllowed": 0, **status}, **spec)
    assert (await evict(cluster, "a")).status == code
    assert await exists(cluster, "a") is (code == 429)
    assert (await cluster.must("GET", f"{BUDGETS}/keep"))["status"].get("disruptedPods") is None


@pytest.mark.parametrize("how", ["query", "options"])
async def test_a_dry_run_asks_and_changes_nothing(cluster: Cluster, how: str) -> None:
    await pod(cluster, "a")
    await budget(cluster, status={"disruptionsAllowed": 1})
    before = await cluster.must("GET", f"{BUDGETS}/keep"), await cluster.must("GET", f"{PODS}/a")
    query, options = ("?dryRun=All", {}) if how == "query" else ("", {"deleteOptions": {"dryRun": ["All"]}})
    assert (await evict(cluster, "a", query, **options)).status == 201
    assert (await cluster.must("GET", f"{BUDGETS}/keep"), await cluster.must("GET", f"{PODS}/a")) == before


async def test_the_pod_says_why_it_goes(cluster: Cluster) -> None:
    await pod(cluster, "a")
    merge = "application/merge-patch+json"
    keep = {"metadata": {"finalizers": ["example.com/keep"]}}
    await cluster.must("PATCH", f"{PODS}/a", keep, content_type=merge)
    assert (await evict(cluster, "a")).status == 201
    conditions = (await cluster.must("GET", f"{PODS}/a"))["status"]["conditions"]
    (target,) = [one for one in conditions if one["type"] == "DisruptionTarget"]
    assert (target["status"], target["reason"], target["message"]) == (
        "True",
        "EvictionByEvictionAPI",
        "Eviction API: evicting",
    )


async def test_preconditions_are_kept(cluster: Cluster) -> None:
    await pod(cluster, "a")
    await budget(cluster, status={"disruptionsAllowed": 1})
    answer = await evict(cluster, "a", deleteOptions={"preconditions": {"uid": "other"}})
    assert answer.status == 409 and await exists(cluster, "a")
