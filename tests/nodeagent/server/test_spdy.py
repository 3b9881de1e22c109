"""SPDY/3.1 framing: what goes in comes out in any pieces, and hostile frames cost nothing."""

import random
import struct
import zlib

import pytest

from nodeagent.server import spdy
from nodeagent.server.spdy import Data, Decoder, Encoder, GoAway, Ping, RstStream, SpdyError, SynStream


def control(kind: int, body: bytes, *, version: int = 3, length: int | None = None, flags: int = 0) -> bytes:
    size = len(body) if length is None else length
    return struct.pack(">HHI", 0x8000 | version, kind, flags << 24 | size) + body


def test_the_dictionary_is_the_one_both_sides_know() -> None:
    """Its checksum stands at the start of every header compression: the bytes 78bb e3c6a7c2."""
    assert zlib.adler32(spdy.DICTIONARY) == 0xE3C6A7C2
    assert Encoder().syn_stream(1, {})[18:24].hex() == "78bbe3c6a7c2"


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_frames_arrive_whole_in_any_pieces(size: int) -> None:
    encoder, decoder = Encoder(), Decoder()
    sent = b"".join(
        [
            encoder.syn_stream(1, {"streamtype": "error", "port": "80"}, fin=True),
            encoder.syn_reply(1),
            encoder.syn_stream(3, {"streamtype": "data", "port": "80"}),
            encoder.data(3, b"x" * 100),
            control(spdy.SETTINGS, b"\0" * 12),
            control(spdy.WINDOW_UPDATE, b"\0" * 8),
            encoder.ping(7),
            encoder.data(3, b"", fin=True),
            encoder.rst_stream(3, 5),
            encoder.goaway(3),
        ]
    )
    frames = [frame for start in range(0, len(sent), size) for frame in decoder.feed(sent[start : start + size])]
    data = [frame for frame in frames if isinstance(frame, Data)]
    assert b"".join(frame.data for frame in data) == b"x" * 100 and [frame.fin for frame in data][-1]
    assert [frame for frame in frames if not isinstance(frame, Data)] == [
        SynStream(1, {"streamtype": "error", "port": "80"}, True),
        SynStream(3, {"streamtype": "data", "port": "80"}, False),
        Ping(7),
        RstStream(3, 5),
        GoAway(3),
    ]


def test_a_large_data_frame_is_passed_on_in_pieces() -> None:
    decoder = Decoder()
    head = struct.pack(">II", 1, 0xFFFFFF)
    assert [len(frame.data) for frame in decoder.feed(head + b"x" * 10) if isinstance(frame, Data)] == [10]
    assert [len(frame.data) for frame in decoder.feed(b"x" * 10) if isinstance(frame, Data)] == [10]
    assert len(decoder._buffer) == 0


def bomb() -> bytes:
    """A header block of few bytes that says a gigabyte."""
    deflate = zlib.compressobj(zdict=spdy.DICTIONARY)
    block = deflate.compress(b"\0" * 10_000_000) + deflate.flush(zlib.Z_SYNC_FLUSH)
    assert len(block) < spdy.CONTROL_LIMIT_BYTES
    return control(spdy.SYN_STREAM, struct.pack(">IIH", 1, 0, 0) + block)


def headers(raw: bytes) -> bytes:
    deflate = zlib.compressobj(zdict=spdy.DICTIONARY)
    block = deflate.compress(raw) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return control(spdy.SYN_STREAM, struct.pack(">IIH", 1, 0, 0) + block)


HOSTILE = {
    "another version": control(spdy.PING, b"\0" * 4, version=2),
    "a control frame of 16 MiB": control(spdy.SYN_STREAM, b"", length=0xFFFFFF),
    "a ping without an id": control(spdy.PING, b""),
    "a stream without an id": control(spdy.SYN_STREAM, b"\0"),
    "headers that are not compressed": control(spdy.SYN_STREAM, struct.pack(">IIH", 1, 0, 0) + b"plain text"),
    "a header bomb": bomb(),
    "more headers than bytes": headers(struct.pack(">I", 99)),
    "a million headers": headers(struct.pack(">I", 1_000_000)),
    "a header longer than its block": headers(struct.pack(">II", 1, 0x7FFFFFFF) + b"x"),
    "a header that is no text": headers(struct.pack(">II", 1, 1) + b"\xff" + struct.pack(">I", 0)),
    "the end of the compression": control(spdy.SYN_STREAM, struct.pack(">IIH", 1, 0, 0) + zlib.compress(b"\0\0\0\0")),
    "data without a stream": struct.pack(">II", 0, 5),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_frame_is_refused(name: str) -> None:
    with pytest.raises(SpdyError):
        list(Decoder().feed(HOSTILE[name]))


def test_noise_is_refused_or_ignored_but_never_more() -> None:
    noise = random.Random(7)
    for _ in range(3000):
        decoder = Decoder()
        start = noise.choice([b"", b"\x80\x03\0\x01", b"\x80\x03\0\x06", b"\x80\x03\0\x08", b"\0\0\0\x01"])
        try:
            list(decoder.feed(start + noise.randbytes(noise.randrange(200))))
        except SpdyError:
            continue
        assert len(decoder._buffer) <= spdy.CONTROL_LIMIT_BYTES
