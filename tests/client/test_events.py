"""Events: counted, combined, dropped when they flood; on the wire as upstream's."""

import re

from tests.client.test_rest import config_map
from tiphys.api.core.event import Event
from tiphys.client.eventcorrelation import COMBINED_PREFIX, Correlator, Decision, Happening
from tiphys.client.events import EventRecorder
from tiphys.client.rest import Client


def happening(message: str = "m", reason: str = "r", name: str = "a") -> Happening:
    return Happening("default", f"uid-{name}", name, "Pod", "Normal", reason, message)


def write(correlator: Correlator, what: Happening, now: float = 0.0) -> Decision | None:
    decision = correlator.decide(what, now, f"t{now:.0f}")
    if decision is not None:
        correlator.written(decision, decision.name or f"event-{now}")
    return decision


def test_the_same_event_is_counted_on_the_first_one() -> None:
    correlator = Correlator()
    write(correlator, happening(), 1)
    again = write(correlator, happening(), 2)
    assert again is not None and (again.name, again.count, again.first_timestamp) == ("event-1", 2, "t1")


def test_an_event_that_vanished_is_created_again() -> None:
    correlator = Correlator()
    write(correlator, happening(), 1)
    correlator.forget(happening())
    again = write(correlator, happening(), 2)
    assert again is not None and (again.name, again.count) == ("", 1)


def test_the_eleventh_different_message_is_combined_and_later_ones_are_counted_on_it() -> None:
    correlator = Correlator()
    decisions = [write(correlator, happening(f"message {number}"), number) for number in range(13)]
    messages = [decision.happening.message for decision in decisions if decision]
    assert messages[:10] == [f"message {number}" for number in range(10)]
    assert messages[10:] == [f"{COMBINED_PREFIX}message {number}" for number in range(10, 13)]
    assert [decision.count for decision in decisions[10:] if decision] == [1, 2, 3]


def test_different_messages_far_apart_are_not_combined() -> None:
    correlator = Correlator()
    for number in range(13):
        decision = write(correlator, happening(f"message {number}"), number * 700)
        assert decision is not None and not decision.happening.message.startswith(COMBINED_PREFIX)


def test_a_flood_from_one_object_is_dropped_and_others_are_not() -> None:
    correlator = Correlator()
    written = [write(correlator, happening(reason=f"r{number}")) for number in range(40)]
    assert sum(decision is not None for decision in written) == 25
    assert write(correlator, happening(name="b")) is not None
    assert write(correlator, happening(reason="later"), 301) is not None


async def test_an_event_on_the_wire_has_upstreams_name_and_fields(client: Client) -> None:
    about = await client.create(config_map("a"))
    recorder = EventRecorder(client, "test-controller")
    recorder.event(about, "Normal", "Tested", "all is well")
    recorder.event(about, "Normal", "Tested", "all is well")
    await recorder.flush()
    await recorder.stop()
    events = [event for event in (await client.list(Event, "default")).items if event.reason == "Tested"]
    assert len(events) == 1
    event = events[0]
    assert re.fullmatch(r"a\.[0-9a-f]{16}", event.metadata.name)
    assert (event.count, event.message, event.type) == (2, "all is well", "Normal")
    assert event.involvedObject.uid == about.metadata.uid and event.involvedObject.kind == "ConfigMap"
    assert event.source.component == "test-controller" and event.firstTimestamp


async def test_recording_never_waits_and_never_fails(client: Client) -> None:
    about = await client.create(config_map("a"))
    recorder = EventRecorder(client.derived(fence=lambda: False), "test-controller")
    for number in range(2000):
        recorder.event(about, "Normal", "Flood", f"message {number}")
    await recorder.flush()
    await recorder.stop()
    assert [event for event in (await client.list(Event, "default")).items if event.reason == "Flood"] == []
