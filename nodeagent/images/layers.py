"""Unpacked layers: `snapshots/<chain>/fs`, each made once by a confined child and shared read-only by all containers.

A layer is named by its chain id (it and all layers below it), because a directory that an archive uses without
describing it takes its attributes from the layers below.  What must stay true: a directory under `snapshots/` is
complete and its diff id was verified before it got that name; the layers below it were in place first; the child's
failure, of whatever kind, leaves nothing but a staging directory that the next start removes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodeagent.images.content import write_atomically
from nodeagent.images.errors import HostileContentError, ImagePullError
from nodeagent.images.extract import OPAQUE
from nodeagent.safepath import Links, Root, remove_tree

# short enough for 128 lower directories, relative to snapshots/, in the one page mount(2) has for options
_NAME_DIGITS = 24
_CODE_ROOT = str(Path(__file__).resolve().parents[2])
_CHILD = "import sys; sys.path.insert(0, sys.argv.pop(1)); from nodeagent.images.unpack import main; main(sys.argv[1:])"


@dataclass(frozen=True)
class UnpackLimits:
    total_bytes: int = 64 << 30
    ratio: int = 200
    entries: int = 2_000_000
    memory_bytes: int = 1 << 30
    cpu_seconds: int = 3600


@dataclass(frozen=True)
class Staged:
    """A layer that is unpacked and verified, not yet in place."""

    directory: Path
    chain_id: str
    implied: tuple[str, ...]  # directories without a description of their own


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """The name of each layer together with those below it, as the OCI image specification computes it."""
    chain: list[str] = []
    for diff_id in diff_ids:
        both = f"{chain[-1]} {diff_id}" if chain else ""
        chain.append(f"sha256:{hashlib.sha256(both.encode()).hexdigest()}" if chain else diff_id)
    return chain


class LayerStore:
    def __init__(self, root: Path, *, boot_id: str, limits: UnpackLimits | None = None) -> None:
        self.snapshots = root / "snapshots"
        self.staging = root / "staging"
        self.limits = limits or UnpackLimits()
        self._boot_id = boot_id
        self._slots = asyncio.Semaphore(max(2, os.cpu_count() or 2))
        for directory in (self.snapshots, self.staging):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in os.scandir(self.staging):
            remove_tree(leftover.path)

    def path(self, chain_id: str) -> Path:
        """The unpacked directory."""
        return self._directory(chain_id) / "fs"

    def has(self, chain_id: str) -> bool:
        return self._read(self._directory(chain_id)).get("chain_id") == chain_id

    def from_another_boot(self, chain_id: str) -> bool:
        """Was it made before the machine last started?  Then its bytes are only safe if a sync followed."""
        return self._read(self._directory(chain_id)).get("boot_id") != self._boot_id

    def chain_ids(self) -> dict[str, Path]:
        """What is in place, by chain id; directories that say nothing of themselves come under their path."""
        return {
            str(self._read(Path(entry.path)).get("chain_id") or entry.path): Path(entry.path)
            for entry in os.scandir(self.snapshots)
        }

    async def unpack(self, blob: Path, diff_id: str, chain_id: str, media_type: str) -> Staged:
        """Unpack in a child.  Raises HostileContentError, ImagePullError (the node's own fault)."""
        directory = self.staging / os.urandom(8).hex()
        (directory / "fs").mkdir(parents=True, mode=0o755)
        try:
            async with self._slots:
                answer = await self._run_child(blob, directory / "fs", zstd="zstd" in media_type)
            if error := answer.get("error"):
                if answer.get("fault") == "node":
                    raise ImagePullError(str(error))
                raise HostileContentError(str(error))
            if answer["diff_id"] != diff_id:
                raise HostileContentError(
                    f"wrong diff id calculated on extraction {answer['diff_id']!r}, want {diff_id!r}"
                )
        except BaseException:
            await asyncio.shield(asyncio.to_thread(remove_tree, directory))
            raise
        return Staged(directory, chain_id, tuple(answer["implied"]))

    def commit(self, staged: Staged, below: Sequence[str], diff_id: str) -> None:
        """Put in place; the layers `below` (bottom first) are there already.  Blocking, short."""
        if staged.implied:
            with Root.at(staged.directory / "fs", links=Links.NONE) as layer:
                for name in staged.implied:
                    _inherit(layer, name, [self.path(chain_id) for chain_id in reversed(below)])
        record = {"chain_id": staged.chain_id, "diff_id": diff_id, "boot_id": self._boot_id}
        write_atomically(staged.directory / "layer.json", json.dumps(record).encode())
        final = self._directory(staged.chain_id)
        try:
            staged.directory.rename(final)
        except OSError:
            if not self.has(staged.chain_id):
                raise ImagePullError(f"snapshot {staged.chain_id}: name is taken") from None
            remove_tree(staged.directory)  # somebody else was faster

    def remove(self, directory: Path) -> None:
        """Two steps, so that no half-removed layer keeps its name.  Blocking."""
        doomed = self.staging / f"removed-{os.urandom(8).hex()}"
        with suppress(FileNotFoundError):
            directory.rename(doomed)
            remove_tree(doomed)

    def _directory(self, chain_id: str) -> Path:
        return self.snapshots / chain_id.removeprefix("sha256:")[:_NAME_DIGITS]

    @staticmethod
    def _read(directory: Path) -> dict[str, Any]:
        try:
            record = json.loads((directory / "layer.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    async def _run_child(self, blob: Path, target: Path, *, zstd: bool) -> dict[str, Any]:
        limits = self.limits
        request = {
            "ratio": limits.ratio, "total_bytes": limits.total_bytes, "entries": limits.entries,
            "memory_bytes": limits.memory_bytes, "cpu_seconds": limits.cpu_seconds, "zstd": zstd,
        }  # fmt: skip
        blob_fd = os.open(blob, os.O_RDONLY | os.O_CLOEXEC)
        target_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-c", _CHILD, _CODE_ROOT, str(target_fd), str(os.getpid()), json.dumps(request),
                stdin=blob_fd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                pass_fds=(target_fd,), cwd="/", env={"LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "2"},
            )  # fmt: skip
        finally:
            os.close(blob_fd)
            os.close(target_fd)
        try:
            output, errors = await child.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                child.kill()
            await asyncio.shield(child.wait())
            raise
        try:
            answer = json.loads(output)
        except ValueError:
            last = errors.decode(errors="replace").strip().rpartition("\n")[2][:300]
            code = child.returncode or 0
            how = f"signal {-code}" if code < 0 else f"status {code}"
            raise HostileContentError(f"unpacker ended with {how}{': ' + last if last else ''}") from None
        return answer if isinstance(answer, dict) else {"error": "unpacker gave no answer"}


def _inherit(layer: Root, name: str, below: Sequence[Path]) -> None:
    """Give a directory the attributes it has in the layers below (nearest first), if it is a directory there."""
    for lower in below:
        with Root.at(lower, links=Links.NONE) as root:
            try:
                info = root.stat(name)
            except FileNotFoundError:
                if _hidden_here(root, name):
                    return
                continue
            except OSError:
                return  # a file or link on the way: the layer hides it
            if not stat.S_ISDIR(info.st_mode):
                return
            layer.chown(name, info.st_uid, info.st_gid)
            layer.chmod(name, stat.S_IMODE(info.st_mode))
            layer.utime(name, info.st_mtime_ns)
            return


def _hidden_here(root: Root, name: str) -> bool:
    """Does this layer end the view of what lies below it, by an opaque directory or a whiteout on the way to `name`?"""
    parts = name.split("/")
    for count in range(1, len(parts)):
        above = "/".join(parts[:count])
        try:
            fd = root.open_dir(above)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        try:
            with suppress(OSError):
                if os.getxattr(fd, OPAQUE) == b"y":
                    return True
        finally:
            os.close(fd)
    return False
