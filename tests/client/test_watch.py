"""The watch stream: lines whatever the chunks, errors as errors, odd objects passed over."""

from collections.abc import AsyncIterator

import orjson
import pytest

from tiphys.api.core.configmap import ConfigMap
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.resources import resource_of
from tiphys.client.watch import decode_event, split_lines

CONFIG_MAPS = resource_of(ConfigMap)


async def chunked(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_lines_come_whole_however_the_body_is_cut_and_an_unfinished_one_is_dropped(size: int) -> None:
    lines = [line async for line in split_lines(chunked(b"first\n\nsecond line\nthird\nunfin", size))]
    assert lines == [b"first", b"second line", b"third"]


def event(type: str, **obj: object) -> bytes:
    return orjson.dumps({"type": type, "object": obj})


def test_an_event_carries_its_object_and_revision() -> None:
    decoded = decode_event(event("ADDED", metadata={"name": "a", "resourceVersion": "7"}), CONFIG_MAPS)
    assert decoded is not None and decoded.object is not None
    assert (decoded.type, decoded.object.metadata.name, decoded.resource_version) == ("ADDED", "a", "7")


@pytest.mark.parametrize(("annotations", "ends"), [({}, False), ({"k8s.io/initial-events-end": "true"}, True)])
def test_a_bookmark_carries_a_revision_only(annotations: dict[str, str], ends: bool) -> None:
    line = event("BOOKMARK", metadata={"resourceVersion": "9", "annotations": annotations})
    decoded = decode_event(line, CONFIG_MAPS)
    assert decoded is not None and decoded.object is None
    assert (decoded.resource_version, decoded.initial_events_end) == ("9", ends)


def test_an_error_event_is_the_error_it_carries() -> None:
    line = event("ERROR", kind="Status", code=410, reason="Expired", message="too old resource version: 1 (9)")
    with pytest.raises(ApiError, match="too old") as raised:
        decode_event(line, CONFIG_MAPS)
    assert raised.value.expired


@pytest.mark.parametrize("line", [b"<html>", b"[]", b'{"type":"ADDED"}'])
def test_what_is_no_event_ends_the_stream(line: bytes) -> None:
    with pytest.raises(ConnectionFailed):
        decode_event(line, CONFIG_MAPS)


def test_an_object_the_model_cannot_hold_is_passed_over() -> None:
    line = event("ADDED", metadata={"name": "a", "resourceVersion": "7"}, data=[1, 2])
    assert decode_event(line, CONFIG_MAPS) is None
