"""ImageStore: what the rest of the node agent knows of images.

On disk, below one directory: `blobs/` (content.py), `snapshots/` (layers.py) and `images/<config digest>.json`, one
record per image with the names that lead to it.  What must stay true:

- everything is derived from the disk at start; a record is written last and removed first, so whatever it names is
  there;
- a record says which boot wrote it until its layers were synced to the disk; after a crash of the machine such an
  image is forgotten and pulled again, after a crash of the agent it stays;
- the collector removes only what no record, no running pull and no caller's in-use set names."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import json
import logging
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from nodeagent.images.access import DEFAULT_POLICY, CredentialSeal, Policy, allowed, remembered
from nodeagent.images.content import ContentStore, sync_directory, write_atomically
from nodeagent.images.credentials import Credential, matching
from nodeagent.images.errors import AccessDeniedError, ImagePullError, InvalidReferenceError, NotFoundError
from nodeagent.images.image import Image, Platform, host_platform, parse_config
from nodeagent.images.layers import LayerStore, UnpackLimits
from nodeagent.images.manifest import MAX_CONFIG_BYTES
from nodeagent.images.pull import Progress, Pulled, Puller, PullProgress
from nodeagent.images.reference import Reference, is_digest, parse_reference
from nodeagent.images.registry import Repository
from nodeagent.images.transport import RegistryConfig, Transport
from tiphys.clock import Clock, SystemClock

log = logging.getLogger(__name__)

PARALLEL_PULLS = 5

__all__ = ["ImageStore", "ImageStoreError", "PullProgress"]


class ImageStoreError(Exception):
    """The store's directory cannot be used."""


@dataclass(frozen=True)
class _Record:
    id: str
    tags: dict[str, str]  # "docker.io/library/busybox:latest" -> time it came to mean this image
    digests: tuple[str, ...]  # "docker.io/library/busybox@sha256:..."
    blobs: tuple[str, ...]
    chain_ids: tuple[str, ...]
    size: int
    pulled_at: str
    boot_id: str  # "" once everything is synced
    pulled_with: tuple[str, ...] | None = None  # see access.py; None: not pulled by this node

    def to_json(self) -> bytes:
        return json.dumps(self.__dict__, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> _Record:
        fields = json.loads(data)
        for name in ("digests", "blobs", "chain_ids"):
            fields[name] = tuple(fields[name])
        if fields.get("pulled_with") is not None:
            fields["pulled_with"] = tuple(fields["pulled_with"])
        return cls(**fields)


class ImageStore:
    """One per directory (a lock holds that).  All methods belong to one event loop; `close` at the end."""

    def __init__(
        self,
        root: Path | str,
        clock: Clock | None = None,
        registries: RegistryConfig | None = None,
        *,
        platform: Platform | None = None,
        limits: UnpackLimits | None = None,
        parallel_pulls: int = PARALLEL_PULLS,
    ) -> None:
        """Raises ImageStoreError if another process uses `root`.  More than `parallel_pulls` pulls wait for a turn."""
        self.root = Path(root)
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = self._take_lock()
        self._clock = clock or SystemClock()
        self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._content = ContentStore(self.root)
        self._layers = LayerStore(self.root, boot_id=self._boot_id, limits=limits)
        self._records_dir = self.root / "images"
        self._records_dir.mkdir(mode=0o700, exist_ok=True)
        self._transport = Transport(registries or RegistryConfig())
        self._seal = CredentialSeal(self.root)
        self._turns = asyncio.Semaphore(parallel_pulls)
        self._puller = Puller(self._content, self._layers, platform or host_platform())
        self._background: set[asyncio.Task[None]] = set()
        self._images: dict[str, tuple[_Record, Image]] = {}
        self._load()

    async def close(self) -> None:
        """Wait for syncs under way, end connections, give up the lock."""
        if self._background:
            await asyncio.gather(*self._background, return_exceptions=True)
        await self._transport.close()
        os.close(self._lock)

    # -- asking --------------------------------------------------------------------------------------------------

    def get(self, reference_or_id: str) -> Image | None:
        """By image id, by name as in a pod, or by `name@digest`."""
        if is_digest(reference_or_id):
            return self._images[reference_or_id][1] if reference_or_id in self._images else None
        try:
            reference = parse_reference(reference_or_id)
        except InvalidReferenceError:
            return None
        for record, image in self._images.values():
            if reference.tagged in record.tags:
                return image
            if reference.digest and f"{reference.repository}@{reference.digest}" in record.digests:
                return image
        return None

    def mount_paths(self, reference_or_id: str) -> tuple[Path, ...] | None:
        """The unpacked layers for a read-only overlay (an image volume), bottom first; None if the image is not here.

        They stay for as long as the image's id is among the `in_use` of `remove_unused`."""
        image = self.get(reference_or_id)
        return None if image is None else tuple(image.layers)

    def accessible(
        self, image_id: str, reference: str, credentials: Sequence[Credential], policy: Policy = DEFAULT_POLICY
    ) -> bool:
        """Whether a pod with these credentials may use the image that is here, without asking the registry again.

        False for an image that is not here."""
        if image_id not in self._images:
            return False
        offered = matching(credentials, parse_reference(reference))
        return allowed(policy, self._images[image_id][0].pulled_with, [self._seal.of(c) for c in offered])

    def open_to_all(self, image_id: str, policy: Policy = DEFAULT_POLICY) -> bool:
        """Whether any pod may use the image, so that nobody's credentials need be looked at."""
        return image_id in self._images and allowed(policy, self._images[image_id][0].pulled_with, [])

    def list(self) -> list[Image]:
        """In the order of their ids."""
        return [self._images[key][1] for key in sorted(self._images)]

    def disk_usage(self) -> int:
        """Bytes of blobs kept."""
        return sum(entry.stat().st_size for entry in os.scandir(self._content.blobs))

    # -- pulling -------------------------------------------------------------------------------------------------

    async def pull(
        self, reference: str, credentials: Sequence[Credential] = (), *, progress: Progress | None = None
    ) -> Image:
        """Bring the image here, or make sure that it is what the reference stands for now.

        Of the credentials, those that match are tried in turn, as the kubelet does; none matching means anonymous.
        Raises ImagePullError (InvalidReferenceError for a name that is none).
        """
        parsed = parse_reference(reference)
        async with self._turns:
            pulled, used = await self._pull(parsed, credentials, progress or (lambda _: None))
        record = self._record(parsed, pulled, self._seal.of(used))
        self._keep(record)
        self._move_tag(parsed.tagged, record.id)
        self._sync_later(record.id)
        return self._images[record.id][1]

    async def _pull(
        self, reference: Reference, credentials: Sequence[Credential], progress: Progress
    ) -> tuple[Pulled, Credential | None]:
        """What came, and the credential that opened the door."""
        attempts: list[Credential | None] = [*matching(credentials, reference)] or [None]
        failure: ImagePullError | None = None
        for credential in attempts:
            repository = Repository(self._transport, reference, credential, credentials)
            try:
                return await self._puller.pull(repository, progress), credential
            except ImagePullError as error:
                text = f'failed to pull and unpack image "{reference}": {error.message}'
                failure = type(error)(text, code=error.code, reason=error.reason)
                if not isinstance(error, (AccessDeniedError, NotFoundError)):
                    break  # another credential would fare no better
            except OSError as error:
                cause = (error.strerror or str(error)).lower()
                failure = ImagePullError(f'failed to pull and unpack image "{reference}": {cause}')
                break
        assert failure is not None
        raise failure

    def _record(self, reference: Reference, pulled: Pulled, used: str) -> _Record:
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        name = f"{reference.repository}@{pulled.resolved}"
        old = self._images[pulled.config_digest][0] if pulled.config_digest in self._images else None
        tags = dict(old.tags) if old else {}
        if reference.tagged:
            tags[reference.tagged] = self._clock.now().isoformat()
        return _Record(
            id=pulled.config_digest,
            tags=tags,
            digests=tuple(dict.fromkeys((*(old.digests if old else ()), name))),
            blobs=tuple(dict.fromkeys((*(old.blobs if old else ()), *pulled.blobs))),
            chain_ids=pulled.chain_ids,
            size=pulled.size,
            pulled_at=now,
            boot_id=self._boot_id if old is None or old.boot_id else "",
            pulled_with=remembered(old.pulled_with if old else (), used),
        )

    def _move_tag(self, tag: str, owner: str) -> None:
        """A tag means one image.  Should we die half way, the later claim wins at the next start."""
        for record, _ in list(self._images.values()):
            if record.id != owner and tag in record.tags:
                self._keep(replace(record, tags={k: v for k, v in record.tags.items() if k != tag}))

    # -- removing ------------------------------------------------------------------------------------------------

    async def remove(self, reference_or_id: str) -> None:
        """Forget the image under all its names, and what only it needed.  Unknown is fine."""
        image = self.get(reference_or_id)
        if image is not None:
            self._forget(image.id)
            await self.collect_garbage()

    async def remove_unused(self, in_use: Collection[str]) -> Sequence[str]:
        """Remove every image whose id is not in `in_use` and that no pull is bringing; returns their ids."""
        doomed = [key for key in sorted(self._images) if key not in in_use and key not in self._puller.pins]
        for key in doomed:
            self._forget(key)
        await self.collect_garbage()
        return doomed

    async def collect_garbage(self) -> int:
        """Remove layers and blobs that no image and no running pull names; returns how many things went."""
        directories, blobs = self._unreferenced()
        for directory in directories:
            if self._still_garbage(directory):
                await asyncio.to_thread(self._layers.remove, directory)
        self._content.drop_ingests(frozenset(self._puller.pins))
        for digest in blobs:
            if digest not in self._puller.pins and digest not in self._named():
                self._content.remove(digest)
        return len(directories) + len(blobs)

    def _named(self) -> set[str]:
        named = set(self._puller.pins)
        for record, _ in self._images.values():
            named.update(record.blobs, record.chain_ids)
        return named

    def _unreferenced(self) -> tuple[Sequence[Path], Sequence[str]]:
        named = self._named()
        directories = [path for chain_id, path in self._layers.chain_ids().items() if chain_id not in named]
        return directories, [digest for digest in self._content.digests() if digest not in named]

    def _still_garbage(self, directory: Path) -> bool:
        return all(self._layers.path(name).parent != directory for name in self._named() if is_digest(name))

    # -- records -------------------------------------------------------------------------------------------------

    def _keep(self, record: _Record) -> None:
        write_atomically(self._record_path(record.id), record.to_json())
        self._images[record.id] = (record, self._image(record))

    def _forget(self, image_id: str) -> None:
        with suppress(FileNotFoundError):
            self._record_path(image_id).unlink()
        sync_directory(self._records_dir)
        self._images.pop(image_id, None)

    def _record_path(self, image_id: str) -> Path:
        return self._records_dir / f"{image_id.removeprefix('sha256:')}.json"

    def _image(self, record: _Record) -> Image:
        """Raises ImagePullError if the configuration is not there."""
        config = parse_config(self._content.read(record.id, MAX_CONFIG_BYTES)).config
        layers = [self._layers.path(chain_id) for chain_id in record.chain_ids]
        return Image(
            record.id, tuple(sorted(record.tags)), record.digests, record.size, config, layers, record.pulled_at
        )

    def _load(self) -> None:
        for path in sorted(self._records_dir.glob("*.json")):
            try:
                record = _Record.from_json(path.read_bytes())
                whole = record.boot_id in ("", self._boot_id) and all(map(self._layers.has, record.chain_ids))
                if whole and self._record_path(record.id) == path:
                    self._images[record.id] = (record, self._image(record))
                    continue
            except (OSError, ValueError, TypeError, KeyError, ImagePullError) as error:
                log.warning("image record not readable", extra={"file": path.name, "error": str(error)})
            path.unlink()
        self._settle_tags()
        for chain_id, directory in self._layers.chain_ids().items():
            if chain_id not in self._named() and self._layers.from_another_boot(chain_id):
                self._layers.remove(directory)

    def _settle_tags(self) -> None:
        """Of two images that claim a tag the later claim holds."""
        claims: dict[str, tuple[str, str]] = {}
        for record, _ in self._images.values():
            for tag, since in record.tags.items():
                claims[tag] = max(claims.get(tag, ("", "")), (since, record.id))
        for tag, (_, owner) in claims.items():
            self._move_tag(tag, owner)

    # -- durability ----------------------------------------------------------------------------------------------

    def _sync_later(self, image_id: str) -> None:
        if self._images[image_id][0].boot_id:
            task = asyncio.create_task(self._sync(image_id))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _sync(self, image_id: str) -> None:
        await asyncio.to_thread(_sync_filesystem, self.root)
        if image_id in self._images and self._images[image_id][0].boot_id:
            self._keep(replace(self._images[image_id][0], boot_id=""))

    def _take_lock(self) -> int:
        fd = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise ImageStoreError(f"{self.root} is in use by another process") from None
        return fd


def _sync_filesystem(root: Path) -> None:
    """Everything written to the file system that holds `root`, also by children that have ended."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0:
            raise OSError(ctypes.get_errno(), "syncfs failed")
    finally:
        os.close(fd)
