"""How many nodes may be emptied: zones, their states, their pace."""

import pytest

from controllers.nodelifecycle_zones import FULL, NORMAL, PARTIAL, Pace, is_blind, rate_per_second, state_of, states


@pytest.mark.parametrize(
    ("ready", "not_ready", "state"),
    [(3, 0, NORMAL), (1, 2, NORMAL), (2, 3, PARTIAL), (3, 3, NORMAL), (0, 1, FULL), (0, 5, FULL), (0, 0, NORMAL)],
)
def test_a_zones_state_follows_the_share_of_its_lost_nodes(ready: int, not_ready: int, state: str) -> None:
    assert state_of(ready, not_ready) == state


def test_only_when_every_zone_is_lost_are_we_blind() -> None:
    assert is_blind(states([("a", False), ("b", False)]))
    assert not is_blind(states([("a", False), ("b", True)])) and not is_blind({})


def test_a_small_zone_in_trouble_is_left_alone_and_a_large_one_emptied_slowly() -> None:
    assert rate_per_second(PARTIAL, 50) == 0 and rate_per_second(PARTIAL, 51) == 0.01
    assert rate_per_second(NORMAL, 3) == rate_per_second(FULL, 3) == 0.1


def test_one_node_passes_and_the_next_when_its_time_has_come() -> None:
    pace = Pace()
    assert pace.wait_seconds("a", 0.1, 100) == 0
    assert pace.wait_seconds("a", 0.1, 104) == 6
    assert pace.wait_seconds("b", 0.1, 104) == 0
    assert pace.wait_seconds("a", 0.1, 110) == 0
    assert pace.wait_seconds("c", 0, 110) is None
