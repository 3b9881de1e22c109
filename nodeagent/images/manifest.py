"""Manifests and indexes: reading them strictly, and choosing the one for this node's platform.

What must stay true: a document is one thing only (a body that could be read as an index and as a manifest is refused),
of the type its Content-Type says, with digests and sizes checked before anything is done with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodeagent.images.errors import HostileContentError
from nodeagent.images.image import MAX_LAYERS, Platform, json_object
from nodeagent.images.reference import is_digest

MAX_MANIFEST_BYTES = 4 << 20
MAX_CONFIG_BYTES = 8 << 20
MAX_BLOB_BYTES = 64 << 30
_MAX_INDEX_ENTRIES = 1000

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST, "*/*;q=0.1"))

_CONFIGS = frozenset({"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"})
_LAYERS = frozenset(
    f"application/vnd.oci.image.layer.{kind}v1.tar{compression}"
    for kind in ("", "nondistributable.")
    for compression in ("", "+gzip", "+zstd")
) | {
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
}


@dataclass(frozen=True)
class Descriptor:
    media_type: str
    digest: str
    size: int
    platform: Platform | None = None


@dataclass(frozen=True)
class Index:
    manifests: tuple[Descriptor, ...]


@dataclass(frozen=True)
class Manifest:
    config: Descriptor
    layers: tuple[Descriptor, ...]  # bottom first


def parse_manifest(body: bytes, content_type: str = "") -> Index | Manifest:
    """Raises HostileContentError.  `content_type` is the registry's, or the descriptor's that led here."""
    document = json_object(body, "manifest")
    media_type = _media_type(document, content_type)
    if document.get("schemaVersion") != 2:
        raise HostileContentError(
            f"media type {media_type!r:.100} with schemaVersion {document.get('schemaVersion')!r:.20} is not supported"
        )
    has_manifest = "layers" in document or "config" in document or "fsLayers" in document
    if "manifests" in document and has_manifest:
        raise HostileContentError("ambiguous manifest: it has both 'manifests' and 'layers' or 'config'")
    if media_type in INDEXES:
        return _index(document)
    if media_type in MANIFESTS:
        return _manifest(document)
    raise HostileContentError(f"unsupported manifest media type {media_type!r:.100}")


def choose_manifest(entries: Sequence[Descriptor], host: Platform) -> Descriptor | None:
    """The entry that runs best here: exact platform first, then what the processor also runs; None if there is none.

    An entry without a platform counts as the last resort, in order.
    """
    for wanted in compatible(host):
        for entry in entries:
            if entry.platform == wanted:
                return entry
    return next((entry for entry in entries if entry.platform is None), None)


def runs_on(image: Platform, host: Platform) -> bool:
    """May an image with this platform in its configuration run here?  Empty fields do not restrict."""
    if not image.architecture:
        return image.os in ("", host.os)
    return any(
        image.os in ("", wanted.os)
        and image.architecture == wanted.architecture
        and image.variant in ("", wanted.variant)
        for wanted in compatible(host)
    )


def compatible(host: Platform) -> list[Platform]:
    """Platforms this host runs, best first."""
    name, arch = host.os, host.architecture
    if arch == "arm":
        newest = int(host.variant[1:] or 7) if host.variant[1:].isdigit() else 7
        found = [Platform(name, "arm", f"v{n}") for n in range(newest, 4, -1)]
        return [*found[:1], Platform(name, "arm"), *found[1:]]
    if arch == "arm64":
        return [Platform(name, arch, "v8"), Platform(name, arch), *compatible(Platform(name, "arm", "v8"))]
    if arch == "amd64":
        found = [Platform(name, arch), Platform(name, arch, "v1"), Platform(name, "386")]
        return found if host.variant in ("", "v1") else [host, *found]
    return [host] if not host.variant else [host, Platform(name, arch)]


def _media_type(document: Mapping[str, Any], content_type: str) -> str:
    declared = document.get("mediaType", "")
    if not isinstance(declared, str):
        raise HostileContentError("invalid manifest: mediaType must be a string")
    sent = content_type.partition(";")[0].strip().lower()
    known = INDEXES | MANIFESTS
    if declared and sent in known and declared != sent:
        raise HostileContentError(f"mediaType in manifest {declared!r:.100} does not match Content-Type {sent!r:.100}")
    if declared:
        return declared
    if sent in known:
        return sent
    # an OCI document may leave mediaType out, and plain registries serve everything as JSON
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST if "layers" in document else sent


def _index(document: Mapping[str, Any]) -> Index:
    entries = document.get("manifests")
    if not isinstance(entries, list) or "layers" in document or "config" in document:
        raise HostileContentError("invalid index: manifests must be a list")
    if len(entries) > _MAX_INDEX_ENTRIES:
        raise HostileContentError(f"index has {len(entries)} entries, at most {_MAX_INDEX_ENTRIES} are supported")
    found = [_descriptor(entry, MAX_MANIFEST_BYTES) for entry in entries]
    return Index(tuple(entry for entry in found if entry.media_type in INDEXES | MANIFESTS))


def _manifest(document: Mapping[str, Any]) -> Manifest:
    layers = document.get("layers")
    if not isinstance(layers, list) or "manifests" in document:
        raise HostileContentError("invalid manifest: layers must be a list")
    if len(layers) > MAX_LAYERS:
        raise HostileContentError(f"manifest has {len(layers)} layers, at most {MAX_LAYERS} are supported")
    config = _descriptor(document.get("config"), MAX_CONFIG_BYTES)
    if config.media_type not in _CONFIGS:
        raise HostileContentError(f"unsupported config media type {config.media_type!r:.100}: not a container image")
    found = tuple(_descriptor(layer, MAX_BLOB_BYTES) for layer in layers)
    for layer in found:
        if layer.media_type not in _LAYERS:
            raise HostileContentError(f"unsupported layer media type {layer.media_type!r:.100}")
    return Manifest(config, found)


def _descriptor(value: object, limit_bytes: int) -> Descriptor:
    """`urls` is left out on purpose: content comes from the registry that was named, or not at all."""
    if not isinstance(value, dict):
        raise HostileContentError("invalid descriptor: not an object")
    media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    if not is_digest(digest) or not isinstance(digest, str):
        raise HostileContentError(f"invalid descriptor: unsupported or malformed digest {digest!r:.100}")
    if not isinstance(media_type, str):
        raise HostileContentError("invalid descriptor: mediaType must be a string")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= limit_bytes:
        raise HostileContentError(f"invalid descriptor: size {size!r:.40} is out of range (at most {limit_bytes})")
    return Descriptor(media_type, digest, size, _platform(value.get("platform")))


def _platform(value: object) -> Platform | None:
    if not isinstance(value, dict):
        return None
    parts = [value.get(key) or "" for key in ("os", "architecture", "variant")]
    if not all(isinstance(part, str) for part in parts):
        raise HostileContentError("invalid descriptor: platform must hold strings")
    return Platform(*parts)
