"""Deletion plans: tables, no server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.registry.deletion import check_preconditions, is_finished, plan_deletion
from apiserver.registry.options import DeleteOptions
from apiserver.registry.strategy import DEFAULT, Strategy
from tiphys.api.status import StatusError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GRACEFUL = Strategy(grace=lambda obj, asked: 30 if asked is None else asked)
HELD = Strategy(holds=lambda obj: True)


def thing(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "uid": "u", **metadata}}


LEAVING = {"deletionTimestamp": "2026-01-02T03:04:30Z", "deletionGracePeriodSeconds": 30}


@pytest.mark.parametrize(
    ("obj", "options", "strategy", "action", "changes"),
    [
        (thing(), DeleteOptions(), DEFAULT, "remove", {}),
        (thing(finalizers=["a/b"]), DeleteOptions(), DEFAULT, "update", {"deletionGracePeriodSeconds": 0}),
        (thing(), DeleteOptions(propagation_policy="Orphan"), DEFAULT, "update", {"finalizers": ["orphan"]}),
        (thing(finalizers=["orphan"]), DeleteOptions(propagation_policy="Background"), DEFAULT, "remove", {}),
        (
            thing(finalizers=["a/b", "orphan"]),
            DeleteOptions(propagation_policy="Foreground"),
            DEFAULT,
            "update",
            {"finalizers": ["a/b", "foregroundDeletion"]},
        ),
        (thing(), DeleteOptions(orphan_dependents=True), DEFAULT, "update", {"finalizers": ["orphan"]}),
        (thing(), DeleteOptions(), HELD, "update", {"deletionTimestamp": "2026-01-02T03:04:05Z"}),
        (thing(), DeleteOptions(), GRACEFUL, "update", {"deletionTimestamp": "2026-01-02T03:04:35Z"}),
        (thing(generation=1), DeleteOptions(), GRACEFUL, "update", {"generation": 2}),
        (thing(), DeleteOptions(grace_period_seconds=0), GRACEFUL, "remove", {}),
        (thing(), DeleteOptions(grace_period_seconds=-5), GRACEFUL, "update", {"deletionGracePeriodSeconds": 1}),
        (thing(**LEAVING), DeleteOptions(), GRACEFUL, "nothing", {}),
        (thing(**LEAVING), DeleteOptions(grace_period_seconds=60), GRACEFUL, "nothing", {}),
        (
            thing(**LEAVING),
            DeleteOptions(grace_period_seconds=10),
            GRACEFUL,
            "update",
            {"deletionTimestamp": "2026-01-02T03:04:10Z", "deletionGracePeriodSeconds": 10},
        ),
        (thing(**LEAVING), DeleteOptions(grace_period_seconds=0), GRACEFUL, "remove", {}),
    ],
)
def test_a_deletion_follows_from_the_object_and_the_options(
    obj: dict[str, Any], options: DeleteOptions, strategy: Strategy, action: str, changes: dict[str, Any]
) -> None:
    before = repr(obj)
    plan = plan_deletion(obj, options, strategy, NOW)
    assert plan.action == action
    assert {key: plan.obj["metadata"].get(key) for key in changes} == changes
    assert repr(obj) == before


@pytest.mark.parametrize(
    ("old", "new", "finished"),
    [
        (thing(), thing(), False),
        (thing(), thing(**LEAVING), False),
        (thing(**LEAVING), thing(**LEAVING), False),
        (thing(deletionTimestamp="t", finalizers=["a/b"]), thing(deletionTimestamp="t"), True),
        (thing(deletionTimestamp="t"), thing(deletionTimestamp="t", finalizers=["a/b"]), False),
    ],
)
def test_an_update_removes_only_what_nothing_holds_any_more(
    old: dict[str, Any], new: dict[str, Any], finished: bool
) -> None:
    assert is_finished(new, old, DEFAULT) is finished


def test_preconditions_name_what_differs() -> None:
    with pytest.raises(StatusError) as refused:
        check_preconditions(thing(), DeleteOptions(uid="other"), "ConfigMap", "")
    assert refused.value.code == 409 and "the UID in the precondition (other)" in refused.value.message
    check_preconditions(thing(resourceVersion="7"), DeleteOptions(uid="u", resource_version="7"), "ConfigMap", "")
