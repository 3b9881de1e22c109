"""One pull: resolve, choose by platform, fetch and unpack layers side by side, each put in place above the one below.

What must stay true: nothing is unpacked that is not in the content store by its verified digest; the first failure
stops the rest; what has been fetched stays for the next attempt."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from nodeagent.images.content import ContentStore, Ingest, digest_of
from nodeagent.images.errors import AccessDeniedError, HostileContentError, ImagePullError, NotFoundError
from nodeagent.images.flight import SingleFlight
from nodeagent.images.image import ParsedConfig, Platform, parse_config
from nodeagent.images.layers import LayerStore, chain_ids
from nodeagent.images.manifest import (
    MAX_CONFIG_BYTES,
    MAX_MANIFEST_BYTES,
    Descriptor,
    Index,
    Manifest,
    choose_manifest,
    parse_manifest,
    runs_on,
)
from nodeagent.images.registry import Repository

_MAX_NESTING = 3
_DOWNLOADS = 4


@dataclass(frozen=True)
class PullProgress:
    """`status`: resolving, resolved, downloading, unpacking, done.  Bytes are of the compressed layer."""

    status: str
    digest: str = ""
    current_bytes: int = 0
    total_bytes: int = 0


Progress = Callable[[PullProgress], None]


@dataclass(frozen=True)
class Pulled:
    """What a finished pull found out; everything named is on disk."""

    resolved: str  # digest the reference stands for: of the index, if it is one
    config_digest: str
    config: ParsedConfig
    chain_ids: tuple[str, ...]  # bottom first
    blobs: tuple[str, ...]  # indexes, manifest, configuration, layers
    size: int


class Puller:
    """Shared by all pulls of a store.  `pins` counts what running pulls rely on, for the collector to spare."""

    def __init__(self, content: ContentStore, layers: LayerStore, platform: Platform) -> None:
        self.content = content
        self.layers = layers
        self.platform = platform
        self.pins: Counter[str] = Counter()
        self._blobs = SingleFlight(own_try=(AccessDeniedError, NotFoundError))
        self._snapshots = SingleFlight(own_try=(AccessDeniedError, NotFoundError))
        self._downloads = asyncio.Semaphore(_DOWNLOADS)

    async def pull(self, repository: Repository, progress: Progress) -> Pulled:
        """Raises ImagePullError with the stage in its text.  The caller records the result before any await."""
        name = str(repository.reference)
        progress(PullProgress("resolving"))
        try:
            target = await repository.resolve()
        except ImagePullError as error:
            raise _at(f'failed to resolve reference "{name}"', error) from None
        progress(PullProgress("resolved", target.digest))
        with self._pins() as pin:
            try:
                documents, manifest = await self._manifest(repository, target, pin)
                pin(manifest.config.digest)
                config = parse_config(await self._config(repository, manifest.config))
                self._check(config, manifest, documents[-1])
            except ImagePullError as error:
                raise _at("failed to copy", error) from None
            chain = chain_ids(config.diff_ids)
            work: list[_Layer] = []
            for blob, diff_id, chain_id in zip(manifest.layers, config.diff_ids, chain, strict=True):
                work.append(_Layer(blob, diff_id, chain_id, work[-1] if work else None))
            blobs = (*documents, manifest.config.digest, *(layer.digest for layer in manifest.layers))
            pin(*blobs, *chain)
            await self._layers(repository, work, progress)
            size = sum(layer.size for layer in (manifest.config, *manifest.layers))
            size += self.content.size(documents[-1]) or 0
            # no await between here and the caller's record: the collector cannot come between
            return Pulled(
                target.digest, manifest.config.digest, config, tuple(chain), tuple(dict.fromkeys(blobs)), size
            )

    @contextmanager
    def _pins(self) -> Iterator[Callable[..., None]]:
        """Yields a function that pins names until the end of the block."""
        held: list[str] = []

        def pin(*names: str) -> None:
            held.extend(names)
            self.pins.update(names)

        try:
            yield pin
        finally:
            self.pins.subtract(held)
            self.pins = +self.pins

    # -- documents -----------------------------------------------------------------------------------------------

    async def _manifest(
        self, repository: Repository, target: Descriptor, pin: Callable[..., None]
    ) -> tuple[tuple[str, ...], Manifest]:
        """(digests of every document on the way, the manifest's last; the manifest)."""
        seen: list[str] = []
        current = target
        for _ in range(_MAX_NESTING + 1):
            if current.digest in seen:
                raise HostileContentError(f"index {current.digest} contains itself")
            seen.append(current.digest)
            pin(current.digest)
            document = await self._document(repository, current)
            if isinstance(document, Manifest):
                return tuple(seen), document
            entry = choose_manifest(document.manifests, self.platform)
            if entry is None:
                raise NotFoundError(f"no match for platform in manifest {current.digest}: not found", code="NotFound")
            current = entry
        raise HostileContentError(f"index {target.digest} is nested more than {_MAX_NESTING} deep")

    async def _document(self, repository: Repository, descriptor: Descriptor) -> Index | Manifest:
        try:
            body, content_type = self.content.read(descriptor.digest, MAX_MANIFEST_BYTES), descriptor.media_type
        except NotFoundError:
            body, content_type = await repository.manifest(descriptor.digest)
            if descriptor.size and len(body) != descriptor.size:
                raise HostileContentError(
                    f"manifest {descriptor.digest} has {len(body)} bytes, its descriptor says {descriptor.size}"
                ) from None
        document = parse_manifest(body, content_type)
        await asyncio.to_thread(self.content.write, digest_of(body), body)
        return document

    async def _config(self, repository: Repository, descriptor: Descriptor) -> bytes:
        await self._blob(repository, descriptor, lambda _: None)
        return self.content.read(descriptor.digest, MAX_CONFIG_BYTES)

    def _check(self, config: ParsedConfig, manifest: Manifest, digest: str) -> None:
        if len(config.diff_ids) != len(manifest.layers):
            raise HostileContentError(
                f"mismatched image rootfs and manifest layers: {len(config.diff_ids)} and {len(manifest.layers)}"
            )
        if not runs_on(config.platform, self.platform):
            raise NotFoundError(
                f"no match for platform in manifest {digest}: image is for {config.platform}, "
                f"node is {self.platform}: not found",
                code="NotFound",
            )

    # -- layers --------------------------------------------------------------------------------------------------

    async def _layers(self, repository: Repository, work: Sequence[_Layer], progress: Progress) -> None:
        """All of them at once; the first failure cancels the others and is raised."""
        try:
            async with asyncio.TaskGroup() as group:
                for layer in work:
                    group.create_task(self._ensure(repository, layer, progress))
        except BaseExceptionGroup as group_error:
            for error in group_error.exceptions:
                if not isinstance(error, ImagePullError):
                    raise error from None
            raise group_error.exceptions[0] from None

    async def _ensure(self, repository: Repository, layer: _Layer, progress: Progress) -> None:
        if not self.layers.has(layer.chain_id):
            await self._snapshots.run(layer.chain_id, lambda: self._make(repository, layer, progress))
        progress(PullProgress("done", layer.blob.digest, layer.blob.size, layer.blob.size))

    async def _make(self, repository: Repository, layer: _Layer, progress: Progress) -> None:
        """Shared by every pull that wants this layer: depends on no other task of the pull that began it."""
        try:
            await self._blob(repository, layer.blob, progress)
        except ImagePullError as error:
            raise _at("failed to copy", error) from None
        progress(PullProgress("unpacking", layer.blob.digest, layer.blob.size, layer.blob.size))
        path = self.content.path(layer.blob.digest)
        try:
            staged = await self.layers.unpack(path, layer.diff_id, layer.chain_id, layer.blob.media_type)
        except ImagePullError as error:
            raise _at(f"failed to extract layer {layer.diff_id}", error) from None
        if layer.below is not None:
            await self._ensure(repository, layer.below, lambda _: None)
        await asyncio.to_thread(self.layers.commit, staged, layer.chain_below(), layer.diff_id)

    async def _blob(self, repository: Repository, descriptor: Descriptor, progress: Progress) -> None:
        if self.content.size(descriptor.digest) != descriptor.size:
            await self._blobs.run(descriptor.digest, lambda: self._fetch(repository, descriptor, progress))

    async def _fetch(self, repository: Repository, descriptor: Descriptor, progress: Progress) -> None:
        def tell(current: int) -> None:
            progress(PullProgress("downloading", descriptor.digest, current, descriptor.size))

        async with self._downloads:
            ingest = Ingest(self.content, descriptor.digest, descriptor.size)
            await asyncio.to_thread(ingest.open)
            resumed = ingest.offset > 0
            try:
                try:
                    await repository.fetch(descriptor, ingest, tell)
                except HostileContentError:
                    if not resumed:
                        raise
                    ingest.restart()  # what an earlier attempt left was bad: once more from the start
                    await repository.fetch(descriptor, ingest, tell)
            finally:
                ingest.close()


@dataclass(frozen=True)
class _Layer:
    blob: Descriptor
    diff_id: str
    chain_id: str
    below: _Layer | None

    def chain_below(self) -> list[str]:
        """Chain ids of all layers under this one, bottom first."""
        found = []
        layer = self.below
        while layer is not None:
            found.append(layer.chain_id)
            layer = layer.below
        return found[::-1]


def _at(stage: str, error: ImagePullError) -> ImagePullError:
    """The same failure with the stage before its text."""
    return type(error)(f"{stage}: {error.message}", code=error.code, reason=error.reason)
