"""Making images: layers from entries, manifest and configuration around them, as an OCI layout or pushed to a registry.

For examples and tests; building from a Dockerfile comes later.  What must stay true: the same input gives the same
digests (fixed times, sorted configuration), so pushing twice is pushing nothing.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodeagent.images.content import digest_of
from nodeagent.images.image import host_platform
from nodeagent.images.manifest import OCI_INDEX, OCI_MANIFEST

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class LayerBlob:
    body: bytes
    diff_id: str
    media_type: str = OCI_LAYER_GZIP


@dataclass
class BuiltImage:
    """All blobs by digest, the manifest among them."""

    manifest_digest: str
    media_type: str = OCI_MANIFEST
    blobs: dict[str, bytes] = field(default_factory=dict)

    @property
    def manifest(self) -> bytes:
        return self.blobs[self.manifest_digest]


class LayerBuilder:
    """Collects entries; `build` makes the blob.  Times are the epoch, owners root unless given."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)

    def entry(self, name: str, content: bytes = b"", **attributes: Any) -> LayerBuilder:
        """Any member; `attributes` are those of tarfile.TarInfo (type, mode, uid, linkname, pax_headers, ...)."""
        info = tarfile.TarInfo(name)
        info.size = len(content)
        info.mode = 0o644
        for key, value in attributes.items():
            setattr(info, key, value)
        self._tar.addfile(info, io.BytesIO(content))
        return self

    def directory(self, name: str, mode: int = 0o755, **attributes: Any) -> LayerBuilder:
        return self.entry(name, type=tarfile.DIRTYPE, mode=mode, **attributes)

    def file(self, name: str, content: bytes | str, mode: int = 0o644, **attributes: Any) -> LayerBuilder:
        body = content.encode() if isinstance(content, str) else content
        return self.entry(name, body, mode=mode, **attributes)

    def symlink(self, name: str, target: str, **attributes: Any) -> LayerBuilder:
        return self.entry(name, type=tarfile.SYMTYPE, linkname=target, mode=0o777, **attributes)

    def hardlink(self, name: str, target: str, **attributes: Any) -> LayerBuilder:
        return self.entry(name, type=tarfile.LNKTYPE, linkname=target, **attributes)

    def tar(self) -> bytes:
        self._tar.close()
        return self._buffer.getvalue()

    def build(self) -> LayerBlob:
        return layer_from_tar(self.tar())


def layer_from_tar(tar: bytes, level: int = 6) -> LayerBlob:
    return LayerBlob(gzip.compress(tar, level, mtime=0), f"sha256:{hashlib.sha256(tar).hexdigest()}")


def descriptor(media_type: str, body: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(body), "size": len(body)}


def build_image(
    layers: Iterable[LayerBlob], config: Mapping[str, Any] | None = None, platform: Mapping[str, str] | None = None
) -> BuiltImage:
    """An OCI image; `config` is the `config` object of the configuration (Entrypoint, Env, ...)."""
    host = host_platform()
    found = list(layers)
    document = {
        **(platform or {"os": host.os, "architecture": host.architecture}),
        "config": dict(config or {}),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in found]},
        "history": [{"created_by": "tiphys"} for _ in found],
    }
    body = json.dumps(document, sort_keys=True).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, body),
        "layers": [descriptor(layer.media_type, layer.body) for layer in found],
    }
    text = json.dumps(manifest, sort_keys=True).encode()
    blobs = {digest_of(part): part for part in (body, text, *(layer.body for layer in found))}
    return BuiltImage(digest_of(text), OCI_MANIFEST, blobs)


def build_index(images: Iterable[tuple[BuiltImage, Mapping[str, str]]]) -> BuiltImage:
    """An index over images with their platforms ({"os", "architecture", "variant"})."""
    blobs: dict[str, bytes] = {}
    entries = []
    for image, platform in images:
        blobs.update(image.blobs)
        entries.append({**descriptor(image.media_type, image.manifest), "platform": dict(platform)})
    text = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, sort_keys=True).encode()
    blobs[digest_of(text)] = text
    return BuiltImage(digest_of(text), OCI_INDEX, blobs)


def write_layout(image: BuiltImage, directory: Path, tag: str) -> None:
    """As an OCI image layout, which skopeo and umoci read."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for digest, body in image.blobs.items():
        (blobs / digest.removeprefix("sha256:")).write_bytes(body)
    entry = descriptor(image.media_type, image.manifest)
    entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def push_image(image: BuiltImage, base_url: str, repository: str, tag: str, *, authorization: str = "") -> None:
    """To `base_url` ("http://127.0.0.1:5000"), blobs first, nested manifests before the one tagged.

    Raises urllib.error.URLError.
    """
    manifests = _manifests(image)
    for digest, body in image.blobs.items():
        if digest not in manifests:
            _push_blob(base_url, repository, digest, body, authorization)
    for digest, media_type in manifests.items():
        name = tag if digest == image.manifest_digest else digest
        url = f"{base_url}/v2/{repository}/manifests/{name}"
        _send("PUT", url, image.blobs[digest], {"Content-Type": media_type}, authorization)


def _manifests(image: BuiltImage) -> dict[str, str]:
    """Digest -> media type of every manifest, the top one last."""
    found = {}
    if image.media_type == OCI_INDEX:
        for entry in json.loads(image.manifest)["manifests"]:
            found[entry["digest"]] = entry["mediaType"]
    found[image.manifest_digest] = image.media_type
    return found


def _push_blob(base_url: str, repository: str, digest: str, body: bytes, authorization: str) -> None:
    try:
        _send("HEAD", f"{base_url}/v2/{repository}/blobs/{digest}", None, {}, authorization)
        return
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
    location = _send("POST", f"{base_url}/v2/{repository}/blobs/uploads/", b"", {}, authorization)
    url = urllib.parse.urljoin(base_url, location)
    url += ("&" if "?" in url else "?") + urllib.parse.urlencode({"digest": digest})
    _send("PUT", url, body, {"Content-Type": "application/octet-stream"}, authorization)


def _send(method: str, url: str, body: bytes | None, headers: Mapping[str, str], authorization: str) -> str:
    """Returns the Location header."""
    sent = {**headers, **({"Authorization": authorization} if authorization else {})}
    request = urllib.request.Request(url, data=body, method=method, headers=sent)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
        return str(response.headers.get("Location", ""))
