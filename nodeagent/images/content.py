"""Blobs by digest on disk: `blobs/sha256/<hex>`, filled through `ingest/<hex>`.

What must stay true: a file under `blobs/` is complete and had its digest and size verified before it got that name, and
its bytes were on disk first (fsync, then rename, then fsync of the directory).  A file under `ingest/` is a prefix of a
blob that may be continued, by this process or the next, because the digest of the whole decides in the end.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from nodeagent.images.errors import HostileContentError, NotFoundError
from nodeagent.images.reference import is_digest
from nodeagent.safepath import write_all

_CHUNK = 1 << 20


class ContentStore:
    def __init__(self, root: Path) -> None:
        self.blobs = root / "blobs" / "sha256"
        self.ingests = root / "ingest"
        for directory in (self.blobs, self.ingests):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the blob is or would be.  The digest must be well-formed: it becomes a file name."""
        if not is_digest(digest):
            raise HostileContentError(f"invalid digest {digest!r:.100}")
        return self.blobs / digest.removeprefix("sha256:")

    def size(self, digest: str) -> int | None:
        """Bytes, or None if the blob is not here."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, digest: str, limit_bytes: int) -> bytes:
        """A small blob, verified again: the disk is not above suspicion."""
        try:
            with self.path(digest).open("rb") as blob:
                body = blob.read(limit_bytes + 1)
        except FileNotFoundError:
            raise NotFoundError(f"content {digest}: not found", code="NotFound") from None
        if len(body) > limit_bytes:
            raise HostileContentError(f"content {digest} is longer than {limit_bytes} bytes")
        if digest_of(body) != digest:
            self.remove(digest)
            raise NotFoundError(f"content {digest} was damaged on disk and has been removed", code="NotFound")
        return body

    def write(self, digest: str, body: bytes) -> None:
        """Keep a small blob that is in memory and whose digest has been checked.  Several may at once."""
        if self.size(digest) != len(body):
            write_atomically(self.path(digest), body, self.ingests / f".{os.urandom(8).hex()}")

    def digests(self) -> Iterator[str]:
        for entry in os.scandir(self.blobs):
            yield f"sha256:{entry.name}"

    def remove(self, digest: str) -> None:
        with suppress(FileNotFoundError):
            self.path(digest).unlink()

    def drop_ingests(self, keep: Collection[str] = ()) -> None:
        """Remove unfinished downloads, except those of the given digests."""
        for entry in os.scandir(self.ingests):
            if f"sha256:{entry.name}" not in keep:
                with suppress(FileNotFoundError):
                    Path(entry.path).unlink()


class Ingest:
    """One blob on its way in: open, write, commit, close.  What was written stays for a later try unless dropped."""

    def __init__(self, store: ContentStore, digest: str, size: int) -> None:
        self.digest = digest
        self.size = size
        self.offset = 0  # bytes written and hashed
        self._final = store.path(digest)
        self._partial = store.ingests / self._final.name
        self._hash = hashlib.sha256()
        self._fd = -1

    def open(self) -> None:
        """Blocking for as long as it takes to hash what an earlier attempt left."""
        self._fd = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        while chunk := os.read(self._fd, _CHUNK):
            self._hash.update(chunk)
            self.offset += len(chunk)
        if self.offset > self.size:
            self.restart()

    def close(self) -> None:
        os.close(self._fd)

    def restart(self) -> None:
        """Forget what was written.  The file is made anew if it was dropped."""
        if not os.fstat(self._fd).st_nlink:
            os.close(self._fd)
            self._fd = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.offset = 0

    def write(self, data: bytes) -> None:
        """Append.  Raises HostileContentError as soon as the blob is longer than promised."""
        if self.offset + len(data) > self.size:
            self.drop()
            raise HostileContentError(
                f"unexpected commit size {self.offset + len(data)}, expected {self.size}: failed precondition",
                code="FailedPrecondition",
            )
        self._hash.update(data)
        write_all(self._fd, data)
        self.offset += len(data)

    def commit(self) -> None:
        """Verify and put in place.  Raises HostileContentError, having dropped the content, if it is not the blob."""
        if self.offset != self.size:
            raise HostileContentError(
                f"unexpected commit size {self.offset}, expected {self.size}: failed precondition",
                code="FailedPrecondition",
            )
        actual = f"sha256:{self._hash.hexdigest()}"
        if actual != self.digest:
            self.drop()
            raise HostileContentError(
                f"unexpected commit digest {actual}, expected {self.digest}: failed precondition",
                code="FailedPrecondition",
            )
        os.fsync(self._fd)
        self._partial.rename(self._final)
        sync_directory(self._final.parent)

    def drop(self) -> None:
        with suppress(FileNotFoundError):
            self._partial.unlink()


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomically(path: Path, data: bytes, temporary: Path | None = None) -> None:
    """Replace a small file: readers see the old or the new content, also after a crash.

    One writer per path, unless each brings a temporary name of its own.
    """
    temporary = temporary or path.with_name(f".{path.name}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    sync_directory(path.parent)
