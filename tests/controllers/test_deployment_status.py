"""The conditions of a Deployment, with upstream's reasons and messages."""

from typing import Any

import pytest

from controllers.deployment_status import deadline_due_seconds, find, made, paused_condition, rollout_status
from tests.controllers.objects import NOW, ago, deployment, replica_set


def progressing(reason: str, updated_ago: float = 10, status: str = "True") -> dict[str, Any]:
    return {
        "type": "Progressing",
        "status": status,
        "reason": reason,
        "lastUpdateTime": ago(updated_ago),
        "lastTransitionTime": ago(updated_ago + 100),
    }


def test_a_complete_rollout_is_available_and_says_so() -> None:
    new = replica_set("web-1", 3)
    wanted = deployment(3, status={"conditions": [progressing("ReplicaSetUpdated")]})
    status = rollout_status(wanted, [new], new, None, NOW)
    assert (status.replicas, status.updatedReplicas, status.readyReplicas, status.availableReplicas) == (3, 3, 3, 3)
    assert status.unavailableReplicas == 0 and status.terminatingReplicas == 0 and status.observedGeneration == 1
    condition = find(status.conditions, "Progressing")
    assert condition is not None
    assert (condition.reason, condition.message) == (
        "NewReplicaSetAvailable",
        'ReplicaSet "web-1" has successfully progressed.',
    )
    assert condition.lastTransitionTime == ago(110), "the status was True before: no transition"
    available = find(status.conditions, "Available")
    assert available is not None and available.reason == "MinimumReplicasAvailable"


def test_progress_starts_the_deadline_anew() -> None:
    new = replica_set("web-2", 3, available=1)
    before = {"readyReplicas": 0, "conditions": [progressing("ReplicaSetUpdated", 500)]}
    status = rollout_status(deployment(3, status=before), [new], new, None, NOW)
    condition = find(status.conditions, "Progressing")
    assert condition is not None and condition.reason == "ReplicaSetUpdated" and condition.lastUpdateTime == ago(0)
    assert condition.lastTransitionTime == ago(600)


@pytest.mark.parametrize(
    ("since", "reason", "status"),
    [(599, "ReplicaSetUpdated", "True"), (601, "ProgressDeadlineExceeded", "False")],
)
def test_without_progress_the_deadline_passes(since: float, reason: str, status: str) -> None:
    new = replica_set("web-2", 3, available=0)
    before = {"replicas": 3, "updatedReplicas": 3, "conditions": [progressing("ReplicaSetUpdated", since)]}
    told = find(rollout_status(deployment(3, status=before), [new], new, None, NOW).conditions, "Progressing")
    assert told is not None and (told.reason, told.status) == (reason, status)


def test_a_complete_rollout_is_not_timed_when_a_pod_restarts_later() -> None:
    new = replica_set("web-1", 3, available=2)
    before = {"replicas": 3, "updatedReplicas": 3, "conditions": [progressing("NewReplicaSetAvailable", 9000)]}
    status = rollout_status(deployment(3, status=before), [new], new, None, NOW)
    told = find(status.conditions, "Progressing")
    assert told is not None and told.reason == "NewReplicaSetAvailable"
    assert deadline_due_seconds(deployment(3), status, NOW) is None


def test_a_refused_pod_shows_as_replica_failure_and_goes_again() -> None:
    failing = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
    new = replica_set("web-1", 3, replicas=0, status={"conditions": [failing]})
    status = rollout_status(deployment(3), [new], new, None, NOW)
    told = find(status.conditions, "ReplicaFailure")
    assert told is not None and (told.reason, told.message) == ("FailedCreate", "quota")
    healthy = replica_set("web-1", 3)
    again = deployment(3).model_copy(update={"status": status})
    assert find(rollout_status(again, [healthy], healthy, None, NOW).conditions, "ReplicaFailure") is None


def test_too_few_available_pods_are_told() -> None:
    new = replica_set("web-1", 3, available=2)
    told = find(rollout_status(deployment(3), [new], new, None, NOW).conditions, "Available")
    assert told is not None and (told.status, told.reason, told.message) == (
        "False",
        "MinimumReplicasUnavailable",
        "Deployment does not have minimum availability.",
    )


def test_what_the_turn_did_is_told_until_there_is_progress() -> None:
    new = replica_set("web-1", 3, replicas=0)
    note = made("Progressing", "True", "NewReplicaSetCreated", 'Created new replica set "web-1"', NOW)
    status = rollout_status(deployment(3), [new], new, note, NOW)
    told = find(status.conditions, "Progressing")
    assert told is not None and told.reason == "NewReplicaSetCreated"
    assert deadline_due_seconds(deployment(3), status, NOW) == 601


@pytest.mark.parametrize(
    ("paused", "reason", "expected"),
    [
        (True, "ReplicaSetUpdated", "DeploymentPaused"),
        (True, "DeploymentPaused", None),
        (False, "DeploymentPaused", "DeploymentResumed"),
        (False, "ReplicaSetUpdated", None),
        (True, "ProgressDeadlineExceeded", None),
    ],
)
def test_pausing_and_resuming_stop_and_start_the_clock(paused: bool, reason: str, expected: str | None) -> None:
    wanted = deployment(spec={"paused": paused}, status={"conditions": [progressing(reason)]})
    told = paused_condition(wanted, NOW)
    assert (told.reason if told else None) == expected
