"""The scheduling queue: order, back-off, and no missed change."""

from __future__ import annotations

from scheduler.queue import SchedulingQueue, backoff_seconds
from tests.scheduler.objects import make_pod

FIT = frozenset({"NodeResourcesFit"})


def pop(queue: SchedulingQueue) -> str:
    queued = queue.pop()
    return queued.info.pod.metadata.name if queued else ""


def test_the_more_important_pod_comes_first_then_the_older_one() -> None:
    queue = SchedulingQueue()
    queue.add(make_pod("old"), 1.0)
    queue.add(make_pod("young"), 2.0)
    queue.add(make_pod("important", priority=10), 3.0)
    assert [pop(queue), pop(queue), pop(queue), pop(queue)] == ["important", "old", "young", ""]


def test_a_refused_pod_waits_until_something_changes_that_might_help() -> None:
    queue = SchedulingQueue()
    info = make_pod("p")
    queue.add(info, 0.0)
    pop(queue)
    queue.failed(info.uid, 0.0, refused_by=FIT)
    assert queue.flush(1.0) == 300.0
    queue.move(frozenset({"NodePorts"}), 5.0)
    assert pop(queue) == ""
    queue.move(FIT, 5.0)
    assert pop(queue) == "p"


def test_a_refused_pod_comes_back_only_after_its_back_off() -> None:
    queue = SchedulingQueue()
    info = make_pod("p")
    queue.add(info, 0.0)
    pop(queue)
    queue.failed(info.uid, 0.0, refused_by=FIT)
    queue.move(None, 0.5)
    assert pop(queue) == ""
    assert queue.flush(0.5) == 1.0
    queue.flush(1.0)
    assert pop(queue) == "p"


def test_a_change_during_the_decision_is_not_missed() -> None:
    queue = SchedulingQueue()
    info = make_pod("p")
    queue.add(info, 0.0)
    pop(queue)
    queue.move(None, 0.1)
    queue.failed(info.uid, 0.2, refused_by=FIT)
    queue.flush(1.3)
    assert pop(queue) == "p"


def test_a_new_version_during_the_decision_is_not_missed() -> None:
    queue = SchedulingQueue()
    info = make_pod("p", uid="u")
    queue.add(info, 0.0)
    pop(queue)
    queue.add(make_pod("p", uid="u", nodeSelector={"a": "b"}), 0.1)
    queue.failed("u", 0.2, refused_by=FIT)
    queue.flush(1.3)
    queued = queue.pop()
    assert queued is not None and queued.info.pod.spec.nodeSelector == {"a": "b"}


def test_an_error_backs_off_and_nothing_waits_for_ever() -> None:
    queue = SchedulingQueue()
    first, second = make_pod("a"), make_pod("b")
    queue.add(first, 0.0)
    queue.add(second, 0.0)
    pop(queue), pop(queue)
    queue.failed(first.uid, 0.0, error=True)
    queue.failed(second.uid, 0.0, refused_by=FIT)
    assert queue.counts() == {"active": 0, "backoff": 1, "unschedulable": 1}
    queue.flush(301.0)
    assert {pop(queue), pop(queue)} == {"a", "b"}


def test_a_removed_pod_never_comes_back() -> None:
    queue = SchedulingQueue()
    info = make_pod("p")
    queue.add(info, 0.0)
    queue.remove(info.uid)
    assert pop(queue) == "" and len(queue) == 0
    queue.add(info, 0.0)
    pop(queue)
    queue.remove(info.uid)
    queue.failed(info.uid, 0.0)
    queue.move(None, 10.0)
    queue.flush(1000.0)
    assert pop(queue) == ""


def test_the_back_off_doubles_up_to_ten_seconds() -> None:
    assert [backoff_seconds(attempts) for attempts in (1, 2, 3, 4, 5, 100)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
