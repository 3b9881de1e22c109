"""When a condition comes and goes, and which threshold must be acted on."""

from collections.abc import Mapping

from nodeagent.eviction.pressure import PressureState, step
from nodeagent.eviction.signals import Observation
from nodeagent.eviction.thresholds import EvictionConfig, parse_config

CONFIG = parse_config(
    "memory.available<100,nodefs.available<10%",
    "memory.available<200",
    "memory.available=30s",
    "nodefs.available=50",
    transition_seconds=300.0,
)


def seen(memory: int = 1000, disk: int = 1000) -> Mapping[str, Observation]:
    return {"memory.available": Observation(memory, 1000), "nodefs.available": Observation(disk, 1000)}


def walk(config: EvictionConfig, *looks: tuple[float, Mapping[str, Observation]]) -> list[tuple[set[str], list[str]]]:
    state, result = PressureState(), []
    for now, found in looks:
        state, due = step(config, state, found, now)
        result.append((set(state.conditions), [f"{t.signal} {'hard' if t.hard else 'soft'}" for t in due]))
    return result


def test_plenty_is_no_pressure() -> None:
    assert walk(CONFIG, (0, seen())) == [(set(), [])]


def test_a_hard_threshold_is_acted_on_at_once_and_memory_before_disk() -> None:
    assert walk(CONFIG, (0, seen(50, 50))) == [
        ({"MemoryPressure", "DiskPressure"}, ["memory.available hard", "nodefs.available hard"])
    ]


def test_a_soft_threshold_shows_at_once_and_is_acted_on_after_its_grace() -> None:
    low = seen(150)
    assert walk(CONFIG, (0, low), (29, low), (30, low)) == [
        ({"MemoryPressure"}, []),
        ({"MemoryPressure"}, []),
        ({"MemoryPressure"}, ["memory.available soft"]),
    ]


def test_a_soft_threshold_that_was_left_begins_its_grace_again() -> None:
    low = seen(150)
    assert [due for _, due in walk(CONFIG, (0, low), (20, seen()), (25, low), (40, low), (55, low))] == [
        *([[]] * 4),
        ["memory.available soft"],
    ]


def test_a_condition_stays_for_the_transition_period() -> None:
    looks = ((0, seen(50)), (10, seen()), (299, seen()), (300, seen()))
    assert [bool(conditions) for conditions, _ in walk(CONFIG, *looks)] == [True, True, True, False]


def test_a_threshold_once_met_wants_its_minimum_reclaim_too() -> None:
    looks = ((0, seen(disk=120)), (10, seen(disk=99)), (20, seen(disk=120)), (30, seen(disk=150)))
    assert [due for _, due in walk(CONFIG, *looks)] == [[], ["nodefs.available hard"], ["nodefs.available hard"], []]


def test_a_signal_that_cannot_be_seen_meets_nothing() -> None:
    assert walk(CONFIG, (0, {})) == [(set(), [])]
