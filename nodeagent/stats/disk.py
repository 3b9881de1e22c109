"""What pods take on disk: writable layers, logs, volumes; and what their volumes of claims have left.

Trees are looked through only when somebody asks, one at a time in a thread, and the answer is kept: for MAX_AGE_SECONDS
and for COST times as long as looking took, so that looking never costs more than a COSTth of one CPU.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nodeagent.runtime.interface import ContainerStatus
from nodeagent.stats.machine import FileSystem, file_system
from nodeagent.volumes import usage
from tiphys.api.core.pod import Pod
from tiphys.api.core.volume_binding import claims_of
from tiphys.api.core.volumes import Volume
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

MAX_AGE_SECONDS = 60.0
COST = 20
_KINDS = {
    "emptyDir": "empty-dir",
    "configMap": "configmap",
    "secret": "secret",
    "downwardAPI": "downward-api",
    "projected": "projected",
}


@dataclass(frozen=True, slots=True)
class TreeUsage:
    bytes: int = 0
    inodes: int = 0

    def __add__(self, other: TreeUsage) -> TreeUsage:
        return TreeUsage(self.bytes + other.bytes, self.inodes + other.inodes)


@dataclass(frozen=True, slots=True)
class VolumeUsage:
    """`own` is the file system the volume has for itself (a tmpfs, a claim's), None where it is on the node's.

    `local`: counts as ephemeral storage of the pod."""

    name: str
    claim: str = ""
    used: TreeUsage = TreeUsage()
    own: FileSystem | None = None
    local: bool = False


@dataclass(frozen=True, slots=True)
class PodDisk:
    """Container names -> writable layer, and logs."""

    layers: Mapping[str, TreeUsage] = field(default_factory=dict)
    logs: Mapping[str, TreeUsage] = field(default_factory=dict)
    volumes: tuple[VolumeUsage, ...] = ()

    def container(self, name: str) -> TreeUsage:
        """Writable layer and logs."""
        return self.layers.get(name, TreeUsage()) + self.logs.get(name, TreeUsage())

    def total(self) -> TreeUsage:
        """The pod's ephemeral storage."""
        result = TreeUsage()
        for part in (*self.layers.values(), *self.logs.values(), *(v.used for v in self.volumes if v.local)):
            result += part
        return result


class DiskUsage:
    """`containers_dir` is where the runtime keeps ID/upper, `pods_dir` where volumes are; `claim_paths(pod_uid)` says
    where the volumes of its claims are, by volume name."""

    def __init__(
        self, clock: Clock, containers_dir: Path, pods_dir: Path, claim_paths: Callable[[str], Mapping[str, Path]]
    ) -> None:
        self._clock, self._containers, self._pods = clock, containers_dir, pods_dir
        self._claim_paths = claim_paths
        self._known: dict[str, tuple[float, float, PodDisk]] = {}  # uid -> when, seconds it took, what
        self._turn = asyncio.Lock()

    async def of_pod(
        self, pod: Pod, containers: Iterable[ContainerStatus], log_dir: Path, max_age_seconds: float = MAX_AGE_SECONDS
    ) -> PodDisk:
        """What the pod takes, no older than asked unless looking is expensive."""
        uid = pod.metadata.uid
        async with self._turn:
            known = self._known.get(uid)
            now = self._clock.monotonic()
            if known is not None and now - known[0] < max(max_age_seconds, COST * known[1]):
                return known[2]
            found = await asyncio.to_thread(self._look, pod, tuple(containers), log_dir)
            after = self._clock.monotonic()
            self._known[uid] = (after, after - now, found)
            return found

    def forget_all_but(self, uids: Iterable[str]) -> None:
        self._known = {uid: self._known[uid] for uid in uids if uid in self._known}

    def _look(self, pod: Pod, containers: tuple[ContainerStatus, ...], log_dir: Path) -> PodDisk:
        layers: dict[str, TreeUsage] = {}
        for status in containers:
            layer = tree(self._containers / status.id / "upper")
            layers[status.spec.name] = layers.get(status.spec.name, TreeUsage()) + layer
        logs = {name: tree(log_dir / name) for name in layers}
        root = self._pods / pod.metadata.uid / "volumes"
        volumes = [found for volume in pod.spec.volumes if (found := _volume(volume, root)) is not None]
        return PodDisk(layers, logs, (*volumes, *self.claims(pod)))

    def claims(self, pod: Pod) -> list[VolumeUsage]:
        """The volumes of claims: only their file systems are asked, so this is cheap."""
        paths, found = self._claim_paths(pod.metadata.uid), []
        for name, claim in claims_of(pod).items() if paths else ():
            try:
                own = file_system(paths[name])
            except (KeyError, OSError):
                continue
            found.append(VolumeUsage(name, claim, TreeUsage(own.used_bytes, own.inodes_used), own))
        return found


def tree(path: Path) -> TreeUsage:
    """Nothing for what is not there or cannot be looked through."""
    try:
        return TreeUsage(*usage.tree_usage(path))
    except OSError as error:
        _log.info("a directory was not measured", extra=fields(path=path, cause=error))
        return TreeUsage()


def _volume(volume: Volume, root: Path) -> VolumeUsage | None:
    kind = next((kind for source, kind in _KINDS.items() if getattr(volume, source) is not None), "")
    if not kind:
        return None
    path = root / f"kubernetes.io~{kind}" / volume.name
    local = kind == "configmap" or (volume.emptyDir is not None and not volume.emptyDir.medium)
    try:
        own = None if local else file_system(path)
    except OSError:
        return None
    used = tree(path) if own is None or volume.emptyDir is None else TreeUsage(own.used_bytes, own.inodes_used)
    return VolumeUsage(volume.name, used=used, own=own, local=local)
