"""DNS messages as bytes: what is refused, what goes back, what fits."""

from __future__ import annotations

import struct

import pytest

from nodeagent.dns import wire
from nodeagent.dns.wire import BadMessage, Record, Reply
from tests.nodeagent.dns.cluster_objects import question

NAME = wire.name_of("web.shop.svc.cluster.local")


def read(message: bytes) -> wire.Query:
    query = wire.read_query(message)
    assert query is not None
    return query


def test_a_question_goes_back_with_the_case_it_came_with() -> None:
    asked = question("WeB.shop.svc.CLUSTER.local", wire.A)
    said = wire.write_reply(read(asked), Reply(answers=(Record(NAME, wire.A, 5, b"\n\0\0\1"),)))
    assert said[12 : len(asked)] == asked[12:]
    walked = wire.walk(said)
    assert walked.addresses == (Record(NAME, wire.A, 5, b"\n\0\0\1"),)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0" * 11,
        struct.pack("!6H", 1, 0, 0, 0, 0, 0),
        struct.pack("!6H", 1, 0, 2, 0, 0, 0) + question("a", 1)[12:] * 2,
        struct.pack("!6H", 1, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",  # a pointer to itself
        struct.pack("!6H", 1, 0, 1, 0, 0, 0) + b"\x3fshort\0\0\1\0\1",
        struct.pack("!6H", 1, 0, 1, 0, 0, 0) + b"\1a" * 128 + b"\0\0\1\0\1",  # more than 255 bytes
        struct.pack("!6H", 1, 0, 1, 0, 0, 1) + question("a", 1)[12:] + b"\0\0\x29\4\xd0\0\0\0\0\xff\xff",
        question("a", 1)[:-1],
    ],
)
def test_what_is_no_question_is_refused(message: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        wire.read_query(message)
    assert (caught.value.ident is None) == (len(message) < 12)


def test_an_answer_is_never_taken_for_a_question() -> None:
    asked = question("a", 1)
    assert wire.read_query(asked[:2] + b"\x80\0" + asked[4:]) is None


def test_a_dot_inside_a_label_is_no_border() -> None:
    packed = b"\x03a.b\7cluster\5local\0" + struct.pack("!HH", 1, 1)
    assert read(wire.write_query(1, 0, packed)).name == (b"a.b", b"cluster", b"local")


def test_edns_says_how_much_fits() -> None:
    assert read(question("a", 1)).udp_bytes == 0
    assert read(question("a", 1, udp_bytes=4096)).udp_bytes == 4096
    assert read(question("a", 1, udp_bytes=100)).udp_bytes == 512


@pytest.mark.parametrize("most", [100, 512, 1232, 65535])
def test_an_answer_that_does_not_fit_is_cut_between_records_and_says_so(most: int) -> None:
    records = tuple(Record(NAME, wire.A, 5, struct.pack("!I", number)) for number in range(200))
    said = wire.write_reply(read(question("web.shop.svc.cluster.local", wire.A)), Reply(answers=records), most)
    walked = wire.walk(said)
    assert len(said) <= most
    assert bool(walked.flags & wire.TC) == (most < 65535)
    assert walked.addresses == records[: len(walked.addresses)]


def test_a_pointer_of_another_server_leads_backwards_or_nowhere() -> None:
    head = struct.pack("!6H", 1, wire.QR, 1, 1, 0, 0) + question("a", 1)[12:]
    with pytest.raises(BadMessage):
        wire.walk(head + b"\xc0" + bytes([len(head)]) + struct.pack("!HHIH", 1, 1, 5, 4) + b"\0" * 4)
