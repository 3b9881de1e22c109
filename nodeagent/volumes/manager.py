"""Sets up and takes down the volumes of one pod after another, below DIR/pods/<uid>/volumes.

`set_up` is idempotent: it is called again for live updates and after a restart of the agent, and touches only what
differs.  Volumes of images are the exception: they are mounted by `mount_image`, once their image is there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodeagent.runtime.interface import Mount
from nodeagent.runtime.syscalls import MS_NODEV, MS_NOEXEC, MS_NOSUID, mount
from nodeagent.volumes import atomic, emptydir, hostpath, image, propagation, subpath
from nodeagent.volumes.claims import BlockVolume, ClaimNotReady, ClaimVolumes
from nodeagent.volumes.payload import PodFacts, VolumeError, VolumeSources, payload
from nodeagent.volumes.sources import unsupported
from nodeagent.volumes.teardown import is_mount_point, remove_tree
from nodeagent.volumes.usage import EmptyDirLimits, LimitedVolume
from tiphys.api.core.container import Container
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.pod import Pod
from tiphys.api.core.volumes import Volume
from tiphys.api.quantity import value
from tiphys.clock import Clock

_PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}


@dataclass(frozen=True)
class MountedVolume:
    """Where a volume is on the node.  `ours` is False for a path of the node itself (hostPath)."""

    path: Path
    ours: bool = True
    read_only: bool = False


class SetUpFailed(VolumeError):
    """The whole text of the event, e.g. `MountVolume.SetUp failed for volume "x" : cause`, and its reason."""

    def __init__(self, text: str, reason: str = "FailedMount") -> None:
        super().__init__(text)
        self.reason = reason


class VolumeManager:
    """One per agent.  `root` is the directory of all pods (DIR/pods).

    Without `claims` there are no volumes of claims, without `limits` no emptyDir on disk is measured."""

    def __init__(
        self, root: Path, clock: Clock, *, claims: ClaimVolumes | None = None, limits: EmptyDirLimits | None = None
    ) -> None:
        self.root = root
        self.clock = clock
        self._claims = claims
        self._limits = limits

    def pod_dir(self, pod_uid: str) -> Path:
        return self.root / pod_uid

    async def set_up(self, pod: Pod, sources: VolumeSources, facts: PodFacts) -> dict[str, MountedVolume]:
        """Volume name -> where it is.  Raises SetUpFailed for the first that cannot be made."""
        try:
            bound = await self._claims.find(pod) if self._claims is not None else {}
        except ClaimNotReady as error:
            raise SetUpFailed(str(error)) from error
        mounted = await asyncio.to_thread(self._set_up, pod, sources, facts, bound)
        for volume in pod.spec.volumes if self._limits is not None else ():
            limit = emptydir.disk_limit(volume.emptyDir)
            if limit and self._limits is not None and volume.emptyDir is not None:
                path, text = mounted[volume.name].path, volume.emptyDir.sizeLimit or ""
                self._limits.watch(LimitedVolume(pod.metadata.uid, volume.name, path, limit, text))
        return mounted

    def _set_up(
        self, pod: Pod, sources: VolumeSources, facts: PodFacts, bound: Mapping[str, PersistentVolume]
    ) -> dict[str, MountedVolume]:
        mounted = {}
        for volume in pod.spec.volumes:
            try:
                mounted[volume.name] = self._one(pod, volume, sources, facts, bound.get(volume.name))
            except BlockVolume as error:
                name = bound[volume.name].metadata.name
                text = f'MapVolume.SetUp failed for volume "{name}" : {error}'
                raise SetUpFailed(text, "FailedMapVolume") from error
            except (VolumeError, atomic.PayloadError, OSError) as error:
                name = bound[volume.name].metadata.name if volume.name in bound else volume.name
                raise SetUpFailed(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error
        return mounted

    def _one(
        self, pod: Pod, volume: Volume, sources: VolumeSources, facts: PodFacts, bound: PersistentVolume | None
    ) -> MountedVolume:
        group = fs_group(pod)
        if volume.hostPath is not None:
            return MountedVolume(hostpath.prepare(volume.hostPath.path, volume.hostPath.type or ""), ours=False)
        if bound is not None and self._claims is not None:
            claim = volume.persistentVolumeClaim
            found = self._claims.set_up(pod, bound, group, read_only=claim is not None and claim.readOnly)
            return MountedVolume(found.path, ours=found.owned, read_only=found.read_only)
        if volume.emptyDir is not None:
            path = self._directory(pod, "empty-dir", volume.name)
            emptydir.set_up(pod, volume.emptyDir, path, group, value(facts.node.allocatable.get("memory", "0")))
            return MountedVolume(path)
        if volume.image is not None:
            return MountedVolume(self._directory(pod, "image", volume.name), read_only=True)
        return self._projected(pod, volume, sources, facts, group)

    def _projected(
        self, pod: Pod, volume: Volume, sources: VolumeSources, facts: PodFacts, group: int
    ) -> MountedVolume:
        kinds = {
            "configmap": volume.configMap,
            "secret": volume.secret,
            "downward-api": volume.downwardAPI,
            "projected": volume.projected,
        }
        kind = next((name for name, source in kinds.items() if source is not None), "")
        if not kind:
            raise VolumeError(unsupported(volume))
        files = payload(pod, volume, sources, facts)
        path = self._directory(pod, kind, volume.name)
        path.mkdir(parents=True, exist_ok=True)
        if kind != "configmap" and not is_mount_point(path):
            mount("tmpfs", str(path), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755")
        path.chmod(0o2777 if group >= 0 else 0o777)
        os.chown(path, -1, group)
        atomic.write(path, files, self.clock, group)
        return MountedVolume(path, read_only=True)

    def _directory(self, pod: Pod, kind: str, name: str) -> Path:
        directory = self.pod_dir(pod.metadata.uid) / "volumes" / f"kubernetes.io~{kind}"
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        self.pod_dir(pod.metadata.uid).chmod(0o700)
        return directory / name

    def has_image(self, volume: MountedVolume) -> bool:
        """Whether a volume of an image is mounted already."""
        return is_mount_point(volume.path)

    async def mount_image(self, volume: MountedVolume, image_id: str, layers: Sequence[Path]) -> None:
        """Fill a volume of an image with the image's layers (bottom first).  Raises VolumeError."""
        note = image.note_of(volume.path)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(image_id)  # before the mount: what is mounted is known to be in use
        await asyncio.to_thread(image.mount_image, layers, volume.path)

    def images_in_use(self) -> set[str]:
        """What `mount_image` was told of the images that volumes consist of now: their layers must stay."""
        return {note.read_text() for note in self.root.glob("*/volumes/kubernetes.io~image/.*.image")}

    def mounts(
        self, pod: Pod, container: Container, volumes: Mapping[str, MountedVolume], env: Mapping[str, str]
    ) -> list[Mount]:
        """The bind mounts of a container's volumeMounts.  Raises VolumeError (a bad subPath)."""
        result = []
        for index, wanted in enumerate(container.volumeMounts):
            volume = volumes.get(wanted.name)
            if volume is None:
                raise VolumeError(f'cannot find volume "{wanted.name}" to mount into container "{container.name}"')
            how = wanted.mountPropagation or ""
            if how in _PROPAGATION and volume.ours and not volume.read_only:
                propagation.share(volume.path)
            elif how == "Bidirectional":
                propagation.check_shared(volume.path)
            source = volume.path
            sub = wanted.subPath or _expanded(wanted.subPathExpr, env)
            if sub:
                parent = self.pod_dir(pod.metadata.uid) / "volume-subpaths" / wanted.name / container.name
                source = subpath.pin(volume.path, sub, parent / str(index))
            result.append(
                Mount(
                    source=str(source),
                    target=wanted.mountPath,
                    read_only=wanted.readOnly or volume.read_only,
                    recursive_read_only=wanted.recursiveReadOnly in ("Enabled", "IfPossible"),
                    propagation=_PROPAGATION.get(how, "rprivate"),  # type: ignore[arg-type]
                    options=("nosuid", "nodev") if volume.ours else (),
                )
            )
        return result

    async def unmount(self, pod_uid: str) -> None:
        """Remove the volumes of a pod that has finished; its termination messages stay.  Raises OSError."""
        self._forget(pod_uid)
        for name in ("volume-subpaths", "volumes"):
            await asyncio.to_thread(remove_tree, self.pod_dir(pod_uid) / name)

    async def tear_down(self, pod_uid: str) -> None:
        """Unmount and delete everything of the pod's directory.  Raises OSError when something is left."""
        if pod_uid and "/" not in pod_uid and pod_uid not in (".", ".."):
            self._forget(pod_uid)
            await asyncio.to_thread(remove_tree, self.pod_dir(pod_uid))

    def _forget(self, pod_uid: str) -> None:
        if self._limits is not None:
            self._limits.forget(pod_uid)
        if self._claims is not None:
            self._claims.forget(pod_uid)

    def claim_paths(self, pod_uid: str) -> Mapping[str, Path]:
        """Volume name -> where the volume of its claim is."""
        return self._claims.paths(pod_uid) if self._claims is not None else {}

    def known_pods(self) -> list[str]:
        """UIDs of the pods that have a directory."""
        return sorted(entry.name for entry in os.scandir(self.root)) if self.root.is_dir() else []


def fs_group(pod: Pod) -> int:
    """spec.securityContext.fsGroup, -1 when there is none."""
    context = pod.spec.securityContext
    return -1 if context is None or context.fsGroup is None else context.fsGroup


def _expanded(expression: str, env: Mapping[str, str]) -> str:
    from nodeagent.pods.expansion import expand

    text = expand(expression, env)
    if "$(" in text:
        raise VolumeError(f"subPathExpr {expression!r} refers to a variable that is not set")
    if text.startswith("/"):
        raise VolumeError(f"error SubPath `{text}` must not be an absolute path")
    if ".." in text.split("/"):
        raise VolumeError(f"unable to provision SubPath `{text}`: must not contain '..'")
    return text
