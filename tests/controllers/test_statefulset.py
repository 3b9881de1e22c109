"""StatefulSet: who a pod is, which step comes next, what the status counts."""

from typing import Any

import pytest

from controllers.statefulset_claims import changed_owners, claims_for
from controllers.statefulset_identity import lacks_identity, parent_of, pod_for
from controllers.statefulset_plan import keeps_current, plan
from controllers.statefulset_status import availability_due_seconds, next_status
from tests.controllers.objects import NOW, pod
from tests.controllers.workloads import claim_template, stateful_set
from tiphys.api.apps.statefulset import StatefulSet
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod

STATES: dict[str, dict[str, Any]] = {
    "ok": {},
    "starting": {"phase": "Pending", "ready": False},
    "sick": {"ready": False},
    "young": {"ready_ago": 5},
    "failed": {"phase": "Failed", "ready": False},
    "succeeded": {"phase": "Succeeded", "ready": False},
    "going": {"deletionTimestamp": "2026-01-02T03:04:05Z"},
    "failed going": {"phase": "Failed", "ready": False, "deletionTimestamp": "2026-01-02T03:04:05Z"},
}


def member(ordinal: int, state: str = "ok", revision: str = "db-new") -> Pod:
    return pod(f"db-{ordinal}", labels={"app": "web", "controller-revision-hash": revision}, **STATES[state])


def members(text: str) -> list[Pod]:
    """ "0 ok, 1 sick old": ordinal, state and whether the revision is the old one."""
    found = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        ordinal, _, state = word.partition(" ")
        old = state.endswith("old")
        found.append(member(int(ordinal), state.removesuffix("old").strip() or "ok", "db-old" if old else "db-new"))
    return found


def steps(wanted: StatefulSet, text: str) -> str:
    todo = plan(wanted, members(text), "db-new", NOW)
    created = [f"+{ordinal}" for ordinal in todo.create]
    return " ".join(created + [f"-{pod.metadata.name.removeprefix('db-')}" for pod in todo.delete])


@pytest.mark.parametrize(
    ("replicas", "pods", "step"),
    [
        (3, "", "+0"),
        (3, "0 starting", ""),
        (3, "0 sick", ""),
        (3, "0 ok", "+1"),
        (3, "0 ok, 2 ok", "+1"),
        (3, "0 going, 1 ok", ""),
        (3, "0 failed, 1 ok, 2 ok", "-0"),
        (3, "0 succeeded, 1 ok, 2 ok", "-0"),
        (3, "0 failed going, 1 ok, 2 ok", ""),
        (3, "0 ok, 1 ok, 2 ok", ""),
        (1, "0 ok, 1 ok, 2 ok", "-2"),
        (1, "0 ok, 1 ok, 2 going", ""),
        (1, "0 sick, 1 ok, 2 ok", ""),
        (1, "0 ok, 1 ok, 2 sick", "-2"),
        (1, "0 ok, 1 sick, 2 sick", ""),
        (0, "0 sick", "-0"),
    ],
)
def test_ordered_pods_come_and_go_one_after_the_other(replicas: int, pods: str, step: str) -> None:
    assert steps(stateful_set(replicas), pods) == step


@pytest.mark.parametrize(
    ("replicas", "pods", "step"),
    [
        (3, "", "+0 +1 +2"),
        (3, "1 sick", "+0 +2"),
        (3, "0 failed, 2 going", "+1 -0"),
        (1, "0 sick, 1 ok, 2 sick, 3 going", "-2 -1"),
    ],
)
def test_parallel_pods_wait_for_nobody(replicas: int, pods: str, step: str) -> None:
    assert steps(stateful_set(replicas, policy="Parallel"), pods) == step


@pytest.mark.parametrize(
    ("options", "pods", "step"),
    [
        ({}, "0 old, 1 old, 2 old", "-2"),
        ({}, "0 old, 1 old, 2 starting", ""),
        ({}, "0 old, 1 old, 2 ok", "-1"),
        ({}, "0 old, 1 going old, 2 ok", ""),
        ({"partition": 2}, "0 old, 1 old, 2 old", "-2"),
        ({"partition": 2}, "0 old, 1 old, 2 ok", ""),
        ({"partition": 9}, "0 old, 1 old, 2 old", ""),
        ({"strategy": "OnDelete"}, "0 old, 1 old, 2 old", ""),
        ({"unavailable": 2}, "0 old, 1 old, 2 old", "-2 -1"),
        ({"unavailable": "70%"}, "0 old, 1 old, 2 old", "-2 -1"),
        ({"unavailable": "10%"}, "0 old, 1 old, 2 old", "-2"),
        ({"unavailable": 2, "partition": 2}, "0 old, 1 old, 2 old", "-2"),
        ({"policy": "Parallel", "unavailable": 2}, "0 old, 1 old, 2 starting", "-1"),
        ({"policy": "Parallel"}, "0 old, 1 old, 2 starting", ""),
        ({"policy": "Parallel"}, "0 old, 1 sick old, 2 old", "-1"),
        ({"policy": "Parallel"}, "0 old, 1 sick old, 2 sick", ""),
        ({"policy": "Parallel", "unavailable": 2}, "0 sick old, 1 sick old, 2 sick old", "-2 -1"),
    ],
)
def test_an_update_goes_down_from_the_highest_ordinal(options: dict[str, Any], pods: str, step: str) -> None:
    assert steps(stateful_set(3, **options), pods) == step


def test_ordinals_start_where_they_are_told_to() -> None:
    moved = stateful_set(2, ordinals={"start": 5})
    assert steps(moved, "5 ok") == "+6"
    assert steps(moved, "0 ok, 5 ok, 6 ok") == "-0"
    assert steps(stateful_set(2, ordinals={"start": 5}, updateStrategy=ROLL_FROM_1), "5 old, 6 old") == "-6"
    assert steps(stateful_set(2, ordinals={"start": 5}, updateStrategy=ROLL_FROM_1), "5 old, 6 ok") == ""


ROLL_FROM_1 = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}


def test_a_pod_must_be_ready_for_a_while() -> None:
    patient = stateful_set(2, minReadySeconds=30)
    assert steps(patient, "0 young") == ""
    assert steps(patient, "0 ok") == "+1"
    assert availability_due_seconds(patient, members("0 young"), NOW) == 25


def test_a_set_being_deleted_and_foreign_names_are_left_alone() -> None:
    doomed = stateful_set(3)
    doomed = doomed.model_copy(
        update={"metadata": doomed.metadata.model_copy(update={"deletionTimestamp": "2026-01-02T03:04:05Z"})}
    )
    assert steps(doomed, "") == ""
    assert plan(stateful_set(0), [pod("db-x")], "db-new", NOW).delete == []


@pytest.mark.parametrize(
    ("options", "kept"),
    [({}, []), ({"partition": 2}, [0, 1]), ({"strategy": "OnDelete"}, []), ({"partition": 9}, [0, 1, 2])],
)
def test_below_the_partition_new_pods_keep_the_current_revision(options: dict[str, Any], kept: list[int]) -> None:
    assert [ordinal for ordinal in range(3) if keeps_current(stateful_set(3, **options), ordinal)] == kept


def test_a_pod_says_who_it_is() -> None:
    wanted = stateful_set(volumeClaimTemplates=[claim_template()])
    made = pod_for(wanted, wanted.spec.template, "db-abc", 2)
    assert made.metadata.name == made.spec.hostname == "db-2"
    assert made.metadata.generateName == "" and made.spec.subdomain == "db"
    assert made.metadata.labels == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "db-2",
        "apps.kubernetes.io/pod-index": "2",
        "controller-revision-hash": "db-abc",
    }
    assert [one.to_dict() for one in made.spec.volumes] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-2"}}
    ]
    assert not lacks_identity(wanted, made) and lacks_identity(wanted, pod("db-2"))
    assert (parent_of("db-2"), parent_of("my-db-10"), parent_of("db"), parent_of("db-2x")) == ("db", "my-db", "", "")


def owned(*owners: str) -> PersistentVolumeClaim:
    kinds = {"set": ("StatefulSet", "db", "uid-set"), "pod": ("Pod", "db-2", "uid-db-2"), "other": ("X", "x", "x")}
    references = [
        {"apiVersion": "v1", "kind": kinds[one][0], "name": kinds[one][1], "uid": kinds[one][2], "controller": True}
        for one in owners
    ]
    return PersistentVolumeClaim.model_validate({"metadata": {"name": "data-db-2", "ownerReferences": references}})


@pytest.mark.parametrize(
    ("deleted", "scaled", "condemned", "before", "after"),
    [
        ("Retain", "Retain", False, [], None),
        ("Retain", "Retain", False, ["set"], []),
        ("Delete", "Retain", False, [], ["StatefulSet"]),
        ("Delete", "Retain", True, [], ["StatefulSet"]),
        ("Retain", "Delete", False, [], None),
        ("Retain", "Delete", True, [], ["Pod"]),
        ("Delete", "Delete", True, ["set"], ["Pod"]),
        ("Delete", "Delete", False, ["pod"], ["StatefulSet"]),
        ("Delete", "Delete", True, ["other"], None),
    ],
)
def test_the_retention_policy_is_written_as_owners(
    deleted: str, scaled: str, condemned: bool, before: list[str], after: list[str] | None
) -> None:
    wanted = stateful_set(persistentVolumeClaimRetentionPolicy={"whenDeleted": deleted, "whenScaled": scaled})
    wanted = wanted.model_copy(update={"metadata": wanted.metadata.model_copy(update={"uid": "uid-set"})})
    owners = changed_owners(wanted, owned(*before), member(2), condemned=condemned)
    assert (None if owners is None else [one["kind"] for one in owners]) == after


def test_claims_carry_the_labels_of_the_selector() -> None:
    (claim,) = claims_for(stateful_set(volumeClaimTemplates=[claim_template()]), 1)
    assert (claim.metadata.name, claim.metadata.namespace, claim.metadata.labels) == (
        "data-db-1",
        "default",
        {"app": "web"},
    )


@pytest.mark.parametrize(
    ("options", "pods", "counts", "current"),
    [
        ({}, "0 ok, 1 old, 2 sick old", (3, 2, 2, 2, 1), "db-old"),
        ({}, "0 ok, 1 ok, 2 going old", (3, 3, 2, 0, 2), "db-old"),
        ({}, "0 ok, 1 ok, 2 ok", (3, 3, 3, 3, 3), "db-new"),
        ({}, "0 ok, 1 ok, 2 sick", (3, 2, 2, 0, 3), "db-old"),
        ({"partition": 2}, "0 old, 1 old, 2 ok", (3, 3, 3, 2, 1), "db-old"),
        ({"strategy": "OnDelete"}, "0 ok, 1 ok, 2 ok", (3, 3, 3, 0, 3), "db-old"),
    ],
)
def test_the_update_becomes_current_when_every_pod_has_it(
    options: dict[str, Any], pods: str, counts: tuple[int, ...], current: str
) -> None:
    status = next_status(stateful_set(3, **options), members(pods), "db-old", "db-new", None, NOW)
    assert (
        status.replicas,
        status.readyReplicas,
        status.availableReplicas,
        status.currentReplicas,
        status.updatedReplicas,
    ) == counts
    assert (status.currentRevision, status.updateRevision) == (current, "db-new")
