"""The columns always say what the nodes and the pods on them add up to."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.snapshot import PODS, Snapshot
from tests.scheduler.objects import make_node, make_pod


def test_a_pod_that_was_bound_before_its_node_was_seen_is_counted_when_the_node_appears() -> None:
    snapshot = Snapshot()
    snapshot.add_pod(make_pod(requests={"cpu": "1"}), "late")
    snapshot.set_node(make_node("late"))
    assert snapshot.requested[0, 0] == 1000


def test_a_node_that_returns_has_its_pods_again() -> None:
    snapshot = Snapshot()
    snapshot.set_node(make_node("a"))
    snapshot.add_pod(make_pod(requests={"cpu": "1"}), "a")
    snapshot.remove_node("a")
    assert len(snapshot) == 0
    snapshot.set_node(make_node("a"))
    assert snapshot.requested[0].tolist() == [1000, 0, 0, 1]


def test_a_new_resource_gets_a_column() -> None:
    snapshot = Snapshot()
    snapshot.set_node(make_node("a"))
    snapshot.set_node(make_node("b", **{"example.com/gpu": "2"}))
    column = snapshot.resource_column("example.com/gpu")
    assert snapshot.allocatable[:, column].tolist() == [0, 2]


commands = st.one_of(
    st.tuples(st.just("node"), st.integers(0, 5)),
    st.tuples(st.just("drop"), st.integers(0, 5)),
    st.tuples(st.just("pod"), st.integers(0, 40)),
    st.tuples(st.just("end"), st.integers(0, 40)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(commands, max_size=60))
def test_any_order_of_changes_keeps_the_sums_right(steps: list[tuple[str, int]]) -> None:
    snapshot = Snapshot()
    nodes: set[str] = set()
    placed: dict[str, str] = {}
    for what, number in steps:
        if what == "node":
            nodes.add(f"n{number}")
            snapshot.set_node(make_node(f"n{number}"))
        elif what == "drop":
            nodes.discard(f"n{number}")
            snapshot.remove_node(f"n{number}")
        elif what == "pod":
            placed[f"u{number}"] = f"n{number % 6}"
            snapshot.add_pod(
                make_pod(uid=f"u{number}", requests={"cpu": "100m"}, host_ports=[number + 1]), f"n{number % 6}"
            )
        else:
            placed.pop(f"u{number}", None)
            snapshot.remove_pod(f"u{number}")
    assert set(snapshot.names) == nodes
    for row, name in enumerate(snapshot.names):
        mine = sum(node == name for node in placed.values())
        assert snapshot.row_of[name] == row
        assert (snapshot.requested[row, 0], snapshot.requested[row, PODS]) == (100 * mine, mine)
        assert len(snapshot.ports[row]) == mine
