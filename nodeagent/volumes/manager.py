"""Sets up and takes down the volumes of one pod after another, below DIR/pods/<uid>/volumes.

`set_up` is idempotent: it is called again for live updates and after a restart of the agent, and touches only what
differs.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodeagent.runtime.interface import Mount
from nodeagent.runtime.syscalls import MS_NODEV, MS_NOEXEC, MS_NOSUID, mount
from nodeagent.volumes import atomic, hostpath, subpath
from nodeagent.volumes.payload import PodFacts, VolumeError, VolumeSources, payload
from nodeagent.volumes.teardown import is_mount_point, remove_tree
from tiphys.api.core.container import Container
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
    """`MountVolume.SetUp failed for volume "x" : cause`, the text of the FailedMount event."""


class VolumeManager:
    """One per agent.  `root` is the directory of all pods (DIR/pods)."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root = root
        self.clock = clock

    def pod_dir(self, pod_uid: str) -> Path:
        return self.root / pod_uid

    async def set_up(self, pod: Pod, sources: VolumeSources, facts: PodFacts) -> dict[str, MountedVolume]:
        """Volume name -> where it is.  Raises SetUpFailed for the first that cannot be made."""
        return await asyncio.to_thread(self._set_up, pod, sources, facts)

    def _set_up(self, pod: Pod, sources: VolumeSources, facts: PodFacts) -> dict[str, MountedVolume]:
        mounted = {}
        for volume in pod.spec.volumes:
            try:
                mounted[volume.name] = self._one(pod, volume, sources, facts)
            except (VolumeError, atomic.PayloadError, OSError) as error:
                raise SetUpFailed(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from error
        return mounted

    def _one(self, pod: Pod, volume: Volume, sources: VolumeSources, facts: PodFacts) -> MountedVolume:
        group = fs_group(pod)
        if volume.hostPath is not None:
            return MountedVolume(hostpath.prepare(volume.hostPath.path, volume.hostPath.type or ""), ours=False)
        if volume.emptyDir is not None:
            path = self._directory(pod, "empty-dir", volume.name)
            memory = volume.emptyDir.medium == "Memory"
            _empty_dir(path, memory=memory, size=volume.emptyDir.sizeLimit or "", group=group)
            return MountedVolume(path)
        kinds = {
            "configmap": volume.configMap,
            "secret": volume.secret,
            "downward-api": volume.downwardAPI,
            "projected": volume.projected,
        }
        kind = next((name for name, source in kinds.items() if source is not None), "")
        if not kind:
            raise VolumeError("this kind of volume is not supported on this node")
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

    def mounts(
        self, pod: Pod, container: Container, volumes: Mapping[str, MountedVolume], env: Mapping[str, str]
    ) -> list[Mount]:
        """The bind mounts of a container's volumeMounts.  Raises VolumeError (a bad subPath)."""
        result = []
        for index, wanted in enumerate(container.volumeMounts):
            volume = volumes.get(wanted.name)
            if volume is None:
                raise VolumeError(f'cannot find volume "{wanted.name}" to mount into container "{container.name}"')
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
                    propagation=_PROPAGATION.get(wanted.mountPropagation or "", "rprivate"),  # type: ignore[arg-type]
                    options=("nosuid", "nodev") if volume.ours else (),
                )
            )
        return result

    async def unmount(self, pod_uid: str) -> None:
        """Remove the volumes of a pod that has finished; its termination messages stay.  Raises OSError."""
        for name in ("volume-subpaths", "volumes"):
            await asyncio.to_thread(remove_tree, self.pod_dir(pod_uid) / name)

    async def tear_down(self, pod_uid: str) -> None:
        """Unmount and delete everything of the pod's directory.  Raises OSError when something is left."""
        if pod_uid and "/" not in pod_uid and pod_uid not in (".", ".."):
            await asyncio.to_thread(remove_tree, self.pod_dir(pod_uid))

    def known_pods(self) -> list[str]:
        """UIDs of the pods that have a directory."""
        return sorted(entry.name for entry in os.scandir(self.root)) if self.root.is_dir() else []


def fs_group(pod: Pod) -> int:
    """spec.securityContext.fsGroup, -1 when there is none."""
    context = pod.spec.securityContext
    return -1 if context is None or context.fsGroup is None else context.fsGroup


def _empty_dir(path: Path, *, memory: bool, size: str, group: int) -> None:
    fresh = not path.exists()
    if fresh:
        path.mkdir()
    if memory and not is_mount_point(path):
        options = "mode=0777" + (f",size={value(size)}" if size and value(size) > 0 else "")
        mount("tmpfs", str(path), "tmpfs", MS_NOSUID | MS_NODEV, options)
        fresh = True
    if fresh:
        path.chmod(0o777)
        if group >= 0:
            os.chown(path, -1, group)
            path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_ISGID)


def _expanded(expression: str, env: Mapping[str, str]) -> str:
    from nodeagent.pods.expansion import expand

    text = expand(expression, env)
    if "$(" in text:
        raise VolumeError(f"subPathExpr {expression!r} refers to a variable that is not set")
    return text
