"""DNS messages as bytes: reading questions, writing answers, and walking the answers of other servers.

What must stay true: a reader looks at each byte a bounded number of times, whatever the bytes are, and raises only
BadMessage; names are tuples of labels, so a dot inside a label never becomes a border; the question goes back byte for
byte, with the case the client chose.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

A, NS, CNAME, SOA, PTR, HINFO, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 13, 16, 28, 33, 41, 255
TYPE_NAMES = {A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", PTR: "PTR", 15: "MX", TXT: "TXT", AAAA: "AAAA", SRV: "SRV"}
TYPE_NAMES |= {ANY: "ANY", HINFO: "HINFO"}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
RCODE_NAMES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 16: "BADVERS"}
IN, ANY_CLASS = 1, 255
QR, AA, TC, RD, RA, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0010
DO = 0x8000

PLAIN_UDP_BYTES = 512
OUR_UDP_BYTES = 1232  # fits every path without fragments
MESSAGE_BYTES = 65535
MOST_RECORDS = 4096  # of another server's answer: more is not an answer
MOST_JUMPS = 64

_HEADER = struct.Struct("!6H")
_RECORD = struct.Struct("!HHIH")

Name = tuple[bytes, ...]
"""Labels from left to right, in lower case where they are compared; () is the root."""


class BadMessage(Exception):
    """These bytes are no DNS message.  `ident` is the id to answer to, None when nothing can be answered."""

    def __init__(self, text: str, ident: int | None = None) -> None:
        super().__init__(text)
        self.ident = ident


@dataclass(frozen=True, slots=True)
class Query:
    """`question` are the bytes of name, type and class as they came."""

    ident: int
    flags: int
    name: Name
    kind: int
    klass: int
    question: bytes
    udp_bytes: int = 0  # 0: without EDNS
    edns_version: int = 0
    dnssec: bool = False

    @property
    def opcode(self) -> int:
        return self.flags >> 11 & 15


@dataclass(frozen=True, slots=True)
class Record:
    """`data` is the finished rdata, or for CNAME, NS and PTR the name it leads to; SRV has both."""

    name: Name
    kind: int
    ttl_seconds: int
    data: bytes = b""
    target: Name | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What is to be said to a question."""

    rcode: int = NOERROR
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    authoritative: bool = True


def read_query(message: bytes) -> Query | None:
    """The question of a message; None for an answer (never answered, so that two servers cannot talk for ever).

    Raises BadMessage.
    """
    if len(message) < _HEADER.size:
        raise BadMessage("shorter than a header")
    ident, flags, questions, answers, authority, additional = _HEADER.unpack_from(message)
    if flags & QR:
        return None
    if questions != 1 or answers or authority or additional > 4:
        raise BadMessage("one question is expected", ident)
    try:
        name, position = _plain_name(message, _HEADER.size)
        kind, klass = struct.unpack_from("!HH", message, position)
        question = message[_HEADER.size : position + 4]
        position += 4
        udp_bytes, version, dnssec = 0, 0, False
        seen = False
        for _ in range(additional):
            owner, position = _plain_name(message, position)
            kind_of, size, ttl, length = _RECORD.unpack_from(message, position)
            position += _RECORD.size + length
            if position > len(message):
                raise BadMessage("a record ends after the message")
            if kind_of != OPT:
                continue  # signatures of transactions and the like are nothing to us
            if owner or seen:
                raise BadMessage("EDNS of another name, or twice")
            seen = True
            udp_bytes, version, dnssec = max(size, PLAIN_UDP_BYTES), ttl >> 16 & 255, bool(ttl & DO)
    except (BadMessage, struct.error) as error:
        raise BadMessage(str(error), ident) from None
    return Query(ident, flags, name, kind, klass, question, udp_bytes, version, dnssec)


def _plain_name(message: bytes, position: int) -> tuple[Name, int]:
    """A name without pointers (there is nothing yet to point to), in lower case, and where it ends."""
    labels: list[bytes] = []
    total = 1
    while True:
        if position >= len(message):
            raise BadMessage("a name ends after the message")
        length = message[position]
        position += 1
        if length == 0:
            return tuple(labels), position
        if length > 63 or position + length > len(message):
            raise BadMessage("a label ends after the message, or is a pointer")
        total += length + 1
        if total > 255:
            raise BadMessage("a name has more than 255 bytes")
        labels.append(message[position : position + length].lower())
        position += length


def name_of(text: str) -> Name:
    """ "a.B.c." as labels in lower case.  Raises ValueError for what no name can be."""
    labels = tuple(label.encode("ascii").lower() for label in text.rstrip(".").split(".")) if text.rstrip(".") else ()
    if any(not 0 < len(label) < 64 for label in labels) or sum(map(len, labels)) + len(labels) > 254:
        raise ValueError(f"not a name: {text!r}")
    return labels


def text_of(name: Name) -> str:
    return ".".join(label.decode("ascii", "backslashreplace") for label in name) + "."


def write_query(ident: int, flags: int, question: bytes, *, udp_bytes: int = 0, dnssec: bool = False) -> bytes:
    opt = _opt(udp_bytes, dnssec=dnssec) if udp_bytes else b""
    return _HEADER.pack(ident, flags, 1, 0, 0, 1 if opt else 0) + question + opt


def question_of(name: Name, kind: int) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in name) + b"\0" + struct.pack("!HH", kind, IN)


def _opt(udp_bytes: int, *, dnssec: bool = False, rcode: int = 0) -> bytes:
    return b"\0" + _RECORD.pack(OPT, udp_bytes, rcode >> 4 << 24 | (DO if dnssec else 0), 0)


def write_reply(query: Query, reply: Reply, most_bytes: int = MESSAGE_BYTES, *, recursion: bool = True) -> bytes:
    """The answer, with as many whole records as fit; TC says that answers are missing."""
    flags = QR | (query.flags & (RD | CD | 0x7800)) | (reply.rcode & 15)
    flags |= (AA if reply.authoritative and reply.rcode in (NOERROR, NXDOMAIN) else 0) | (RA if recursion else 0)
    opt = _opt(OUR_UDP_BYTES, dnssec=query.dnssec, rcode=reply.rcode) if query.udp_bytes else b""
    writer = _Writer(query, most_bytes - len(opt))
    answers, whole = writer.take(reply.answers)
    if not whole:
        flags |= TC
    authority, whole = writer.take(reply.authority if whole else ())
    additional, _ = writer.take(reply.additional if whole and not flags & TC else ())
    header = _HEADER.pack(query.ident, flags, 1, answers, authority, additional + (1 if opt else 0))
    return header + bytes(writer.body) + opt


def write_error(ident: int, rcode: int, flags: int = 0) -> bytes:
    """An answer to what could not be read: a header alone."""
    return _HEADER.pack(ident, QR | (flags & (RD | 0x7800)) | rcode, 0, 0, 0, 0)


class _Writer:
    """Records with compressed names, until the limit."""

    def __init__(self, query: Query, most_bytes: int) -> None:
        self.body = bytearray(query.question)
        self._most = most_bytes - _HEADER.size
        self._places: dict[Name, int] = {}
        self._remember(query.name, _HEADER.size)

    def take(self, records: Iterable[Record]) -> tuple[int, bool]:
        """How many were written, and whether these are all."""
        written = 0
        for record in records:
            before = len(self.body)
            self._write(record)
            if len(self.body) > self._most:
                del self.body[before:]
                limit = before + _HEADER.size
                self._places = {name: place for name, place in self._places.items() if place < limit}
                return written, False
            written += 1
        return written, True

    def _write(self, record: Record) -> None:
        body = self.body
        self._name(record.name)
        body += _RECORD.pack(record.kind, IN, record.ttl_seconds, 0)
        start = len(body)
        body += record.data
        if record.target is not None:
            if record.kind == SRV:  # RFC 2782: not compressed
                body += b"".join(bytes([len(label)]) + label for label in record.target) + b"\0"
            else:
                self._name(record.target)
        struct.pack_into("!H", body, start - 2, len(body) - start)

    def _name(self, name: Name) -> None:
        for index in range(len(name)):
            place = self._places.get(name[index:])
            if place is not None:
                self.body += struct.pack("!H", 0xC000 | place)
                return
            place = len(self.body) + _HEADER.size
            if place < 0x4000:
                self._places[name[index:]] = place
            self.body += bytes([len(name[index])]) + name[index]
        self.body += b"\0"

    def _remember(self, name: Name, place: int) -> None:
        for index, label in enumerate(name):
            self._places.setdefault(name[index:], place)
            place += len(label) + 1


@dataclass(frozen=True, slots=True)
class Walked:
    """Another server's answer: where its TTLs stand, and what a cache must know."""

    ident: int
    flags: int
    question: bytes
    rcode: int
    ttl_places: tuple[int, ...]
    ttl_seconds: int  # the least of the answers, of the SOA when there are none; 0: not to be kept
    addresses: tuple[Record, ...] = field(default=())  # A, AAAA and CNAME of the answers


def walk(message: bytes) -> Walked:
    """Check an answer from its first byte to its last.  Raises BadMessage."""
    try:
        return _walk(message)
    except (struct.error, IndexError) as error:
        raise BadMessage(str(error)) from None


def _walk(message: bytes) -> Walked:
    ident, flags, questions, *counts = _HEADER.unpack_from(message)
    if not flags & QR or questions != 1 or sum(counts) > MOST_RECORDS:
        raise BadMessage("not an answer")
    _, position = _plain_name(message, _HEADER.size)
    position += 4
    question = message[_HEADER.size : position]
    places: list[int] = []
    ttls: list[int] = []
    negative: list[int] = []
    found: list[Record] = []
    rcode = flags & 15
    for section, count in enumerate(counts):
        for _ in range(count):
            owner, position = pointed_name(message, position)
            kind, klass, ttl, length = _RECORD.unpack_from(message, position)
            start = position + _RECORD.size
            if start + length > len(message):
                raise BadMessage("a record ends after the message")
            if kind == OPT:
                rcode |= ttl >> 24 << 4
            else:
                places.append(position + 4)
                ttl = 0 if ttl > 0x7FFFFFFF else ttl
                if section == 0:
                    ttls.append(ttl)
                    if klass == IN:
                        found += _address(message, owner, kind, ttl, start, length)
                elif section == 1 and kind == SOA and length >= 20:
                    (minimum,) = struct.unpack_from("!I", message, start + length - 4)
                    negative.append(min(ttl, minimum))
            position = start + length
    least = min(ttls) if ttls else min(negative, default=0)
    return Walked(ident, flags, question, rcode, tuple(places), least, tuple(found))


def _address(message: bytes, owner: Name, kind: int, ttl: int, start: int, length: int) -> Sequence[Record]:
    if kind == CNAME:
        target, _ = pointed_name(message, start)
        return [Record(owner, kind, ttl, target=target)]
    if (kind, length) in ((A, 4), (AAAA, 16)):
        return [Record(owner, kind, ttl, message[start : start + length])]
    return []


def pointed_name(message: bytes, position: int) -> tuple[Name, int]:
    """A name that may use pointers (backwards only), in lower case, and where it ends.  Raises BadMessage."""
    labels: list[bytes] = []
    end, total, jumps = 0, 1, 0
    limit = position
    while True:
        if position >= len(message):
            raise BadMessage("a name ends after the message")
        length = message[position]
        if length >= 0xC0:
            if position + 1 >= len(message):
                raise BadMessage("a pointer ends after the message")
            end = end or position + 2
            target = (length & 0x3F) << 8 | message[position + 1]
            jumps += 1
            if target >= limit or jumps > MOST_JUMPS:
                raise BadMessage("a pointer that does not lead backwards")
            position = limit = target
            continue
        position += 1
        if length == 0:
            return tuple(labels), end or position
        if length > 63 or position + length > len(message):
            raise BadMessage("a label ends after the message")
        total += length + 1
        if total > 255:
            raise BadMessage("a name has more than 255 bytes")
        labels.append(message[position : position + length].lower())
        position += length
