"""Media types: what the client will accept and what its body is.

What must stay true: protobuf goes to those who ask for it first and only for what has a protobuf form; JSON is an
answer to every client that lists either (clients decode by the answer's Content-Type); Table and PartialObjectMetadata
are offered only where the client named them, and always in JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tiphys.api.status import StatusError

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
ACCEPTED = f"{JSON}, {YAML}, {PROTOBUF}"

_TRANSFORMS = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """The representation chosen for an answer."""

    media_type: str = JSON  # JSON, YAML or, without a transform, PROTOBUF
    transform: str = ""  # "", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"
    version: str = ""  # of meta.k8s.io, for a transform

    @property
    def content_type(self) -> str:
        if self.transform:
            return f"{self.media_type};as={self.transform};v={self.version};g=meta.k8s.io"
        return self.media_type


@dataclass(frozen=True, slots=True)
class MediaRange:
    type: str
    parameters: tuple[tuple[str, str], ...]
    quality: float

    def get(self, name: str) -> str:
        return next((value for key, value in self.parameters if key == name), "")


@lru_cache(maxsize=256)
def parse_accept(header: str) -> tuple[MediaRange, ...]:
    """The ranges of an Accept header, best first; an empty header accepts everything."""
    ranges = []
    for part in header[:4096].split(","):
        pieces = [piece.strip() for piece in part.split(";")]
        if not pieces[0]:
            continue
        parameters, quality = [], 1.0
        for piece in pieces[1:]:
            key, _, value = piece.partition("=")
            if key == "q":
                quality = _quality(value)
            else:
                parameters.append((key.strip(), value.strip()))
        ranges.append(MediaRange(pieces[0].lower(), tuple(parameters), quality))
    ranges.sort(key=lambda one: -one.quality)  # stable: the client's order among equals
    return tuple(ranges)


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


@lru_cache(maxsize=256)
def negotiate(header: str, *, transforms: bool = True) -> Accepted:
    """The best representation for an Accept header.  Raises 406."""
    ranges = parse_accept(header)
    if not ranges:
        return Accepted()
    for one in ranges:
        media_type = _served(one.type)
        if media_type is None:
            continue
        wanted = one.get("as")
        if not wanted:
            return Accepted(media_type)
        if media_type == PROTOBUF:
            media_type = JSON
        if transforms and wanted in _TRANSFORMS and one.get("g") == "meta.k8s.io" and one.get("v") in ("v1", "v1beta1"):
            return Accepted(media_type, wanted, one.get("v"))
    raise StatusError(406, "NotAcceptable", f"only the following media types are accepted: {ACCEPTED}", details={})


def _served(media_type: str) -> str | None:
    if media_type in (JSON, "*/*", "application/*"):
        return JSON
    if media_type == PROTOBUF:
        return PROTOBUF
    if media_type in (YAML, "text/yaml"):
        return YAML
    return None


def body_type(header: str) -> str:
    """The media type of a request body: JSON, YAML or PROTOBUF.  Raises 415."""
    media_type = header.partition(";")[0].strip().lower()
    if media_type in ("", JSON):
        return JSON
    if media_type in (YAML, "application/x-yaml", "text/yaml"):
        return YAML
    if media_type == PROTOBUF:
        return PROTOBUF
    raise StatusError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: " + ACCEPTED,
        details={},
    )
