"""ReplicaSet: how many pods, which go first, and what the status counts."""

from typing import Any

import pytest

from controllers.replicaset import in_growing_batches, is_active, plan
from controllers.replicaset_ranking import deletion_order
from controllers.replicaset_status import availability_due_seconds, next_status
from tests.controllers.objects import NOW, pod, replica_set
from tiphys.client.errors import ApiError


@pytest.mark.parametrize(
    ("wanted", "running", "create", "delete"),
    [(3, 0, 3, 0), (3, 3, 0, 0), (3, 5, 0, 2), (0, 1, 0, 1), (900, 0, 500, 0)],
)
def test_the_difference_is_made_up_or_taken_away(wanted: int, running: int, create: int, delete: int) -> None:
    pods = [pod(f"p{number}") for number in range(running)]
    todo = plan(replica_set(size=wanted), pods, pods, NOW)
    assert (todo.create, len(todo.delete)) == (create, delete)


def test_a_replica_set_being_deleted_does_nothing() -> None:
    doomed = replica_set(size=3, deletionTimestamp="2026-01-02T03:04:05Z")
    assert plan(doomed, [], [], NOW).create == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"node": ""}, {"node": "n1", "ready": False, "phase": "Pending"}),
        ({"phase": "Pending", "ready": False}, {"phase": "Unknown", "ready": False}),
        ({"phase": "Unknown", "ready": False}, {"ready": False}),
        ({"ready": False}, {}),
        ({"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}, {}),
        ({}, {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "1"}}),
        ({"ready_ago": 10}, {"ready_ago": 1000}),
        ({"restarts": 3}, {"restarts": 1}),
        ({"age": 10}, {"age": 5000}),
    ],
    ids=["unassigned", "pending", "unknown", "not ready", "cheap", "dear", "ready for less", "restarts", "younger"],
)
def test_the_more_expendable_pod_goes_first(first: dict[str, Any], second: dict[str, Any]) -> None:
    a, b = pod("a", **first), pod("b", **second)
    assert [each.metadata.name for each in deletion_order([b, a], [], NOW)] == ["a", "b"]
    assert [each.metadata.name for each in deletion_order([a, b], [], NOW)] == ["a", "b"]


def test_a_pod_on_the_fuller_node_goes_first() -> None:
    lonely, crowded, other = pod("a", node="n1"), pod("b", node="n2"), pod("c", node="n2")
    assert deletion_order([lonely, crowded], [lonely, crowded, other], NOW)[0] is crowded


@pytest.mark.parametrize(
    ("fields", "active"),
    [({}, True), ({"phase": "Succeeded"}, False), ({"phase": "Failed"}, False), ({"deletionTimestamp": "x"}, False)],
)
def test_pods_that_ended_or_are_going_do_not_count(fields: dict[str, Any], active: bool) -> None:
    assert is_active(pod(**fields)) is active


def test_the_status_counts_ready_available_labelled_and_terminating() -> None:
    hashed = {"app": "web", "pod-template-hash": "web-1"}
    fresh = pod("fresh", ready_ago=5, labels=hashed)
    old = pod("old", ready_ago=50, labels={"app": "web"})
    sick = pod("sick", ready=False, labels=hashed)
    going = pod("going", deletionTimestamp="2026-01-02T03:04:05Z")
    wanted = replica_set(size=3, spec={"minReadySeconds": 30})
    active = [fresh, old, sick]
    status = next_status(wanted, [*active, going], active, None, NOW)
    assert status.to_dict() == {
        "replicas": 3,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "terminatingReplicas": 1,
        "observedGeneration": 1,
    }
    assert availability_due_seconds(wanted, active, NOW) == 25


def test_a_failure_is_a_condition_until_it_is_over() -> None:
    wanted = replica_set(size=1)
    failed = next_status(wanted, [], [], ("FailedCreate", "forbidden"), NOW)
    assert [(one.type, one.reason, one.message) for one in failed.conditions] == [
        ("ReplicaFailure", "FailedCreate", "forbidden")
    ]
    again = wanted.model_copy(update={"status": failed})
    assert next_status(again, [], [], ("FailedCreate", "something else"), NOW) == failed
    assert next_status(again, [], [], None, NOW).conditions == []


async def test_a_refused_template_costs_few_requests() -> None:
    calls: list[int] = []

    async def refuse_after_three(number: int) -> None:
        calls.append(number)
        if number >= 3:
            raise ApiError(403, "Forbidden", "no")

    error = await in_growing_batches(range(500), refuse_after_three)
    assert error is not None and error.code == 403
    assert len(calls) == 7, "batches of 1, 2 and 4"
