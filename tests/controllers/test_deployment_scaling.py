"""The arithmetic of rollouts, against the numbers upstream's controller gives."""

import pytest

from controllers.deployment_scaling import fenceposts, is_scaling_event, new_size, rescale, scale_down_old, scaled
from tests.controllers.objects import deployment, replica_set


@pytest.mark.parametrize(
    ("value", "of", "up", "down"),
    [(3, 10, 3, 3), ("25%", 10, 3, 2), ("25%", 4, 1, 1), ("0%", 10, 0, 0), ("100%", 7, 7, 7), ("1%", 10, 1, 0)],
)
def test_surge_is_rounded_up_and_unavailable_down(value: int | str, of: int, up: int, down: int) -> None:
    assert scaled(value, of, round_up=True) == up
    assert scaled(value, of, round_up=False) == down


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (10, "25%", "25%", (3, 2)),
        (2, "25%", "25%", (1, 0)),
        (1, 0, 0, (0, 1)),
        (10, 0, "1%", (0, 1)),
        (2, 1, 5, (1, 2)),
        (0, 0, 1, (0, 0)),
    ],
)
def test_a_rollout_can_always_take_a_step(
    replicas: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]
) -> None:
    assert fenceposts(deployment(replicas, surge=surge, unavailable=unavailable)) == expected


def test_recreate_has_neither_surge_nor_unavailable() -> None:
    assert fenceposts(deployment(4, strategy="Recreate")) == (0, 0)


@pytest.mark.parametrize(
    ("replicas", "surge", "old", "new", "expected"),
    [
        (10, 2, 10, 0, 2),  # room for the surge only
        (10, 2, 8, 2, 4),
        (10, 2, 2, 10, 10),
        (10, 2, 12, 0, 0),  # no room
        (10, 2, 0, 5, 10),
        (3, 1, 0, 7, 3),  # too large: down at once
    ],
)
def test_the_new_version_takes_the_room_there_is(replicas: int, surge: int, old: int, new: int, expected: int) -> None:
    wanted = deployment(replicas, surge=surge, unavailable=1)
    sets = [replica_set("old", old), replica_set("new", new)]
    assert new_size(wanted, sets, new) == expected


@pytest.mark.parametrize(
    ("replicas", "unavailable", "old", "old_available", "new", "new_available", "expected"),
    [
        (10, 0, 10, 10, 0, 0, None),  # nothing may be missing
        (10, 2, 10, 10, 0, 0, 8),
        (10, 2, 8, 8, 4, 0, None),  # the new ones are not available yet
        (10, 2, 8, 8, 4, 2, 6),
        (10, 2, 10, 8, 0, 0, 8),  # unhealthy ones go first
        (10, 0, 10, 5, 10, 10, 0),
        (10, 2, 10, 0, 0, 0, 8),
    ],
)
def test_old_versions_shrink_as_availability_allows(
    replicas: int,
    unavailable: int,
    old: int,
    old_available: int,
    new: int,
    new_available: int,
    expected: int | None,
) -> None:
    wanted = deployment(replicas, surge=2, unavailable=unavailable)
    before = replica_set("old", old, available=old_available)
    resizes = scale_down_old(wanted, replica_set("new", new, available=new_available), [before])
    assert [resize.size for resize in resizes] == ([] if expected is None else [expected])


def test_of_several_old_versions_the_unhealthy_pods_go_first_then_the_oldest() -> None:
    wanted = deployment(10, surge=0, unavailable=5)
    older, newer = replica_set("older", 5, age=900), replica_set("newer", 5, available=2, age=100)
    resizes = scale_down_old(wanted, replica_set("new", 0), [newer, older])
    assert {resize.replica_set.metadata.name: resize.size for resize in resizes} == {"newer": 2, "older": 3}


def marked(name: str, size: int, desired: int, most: int, **more: int) -> object:
    annotations = {
        "deployment.kubernetes.io/desired-replicas": str(desired),
        "deployment.kubernetes.io/max-replicas": str(most),
    }
    return replica_set(name, size, annotations=annotations, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("replicas", "sizes", "before", "expected"),
    [
        (20, {"new": 5, "old": 8}, 10, {"new": 10, "old": 15}),
        (5, {"new": 5, "old": 8}, 10, {"new": 3, "old": 4}),
        (0, {"new": 5, "old": 8}, 10, {"new": 0, "old": 0}),
    ],
)
def test_a_change_of_replicas_in_the_middle_of_a_rollout_is_spread_in_proportion(
    replicas: int, sizes: dict[str, int], before: int, expected: dict[str, int]
) -> None:
    wanted = deployment(replicas, surge="25%", unavailable="25%")
    new = marked("new", sizes["new"], before, 13, age=10)
    old = marked("old", sizes["old"], before, 13, age=1000)
    assert is_scaling_event(wanted, [new, old])  # type: ignore[list-item]
    resizes = rescale(wanted, new, [old])  # type: ignore[arg-type,list-item]
    assert {resize.replica_set.metadata.name: resize.size for resize in resizes} == expected


def test_a_single_active_version_follows_replicas_directly() -> None:
    new = replica_set("new", 3)
    resizes = rescale(deployment(7), new, [replica_set("old", 0)])
    assert [(resize.replica_set.metadata.name, resize.size) for resize in resizes] == [("new", 7)]
