"""persistentVolumeClaim and ephemeral volumes: from the claim to the volume it is bound to, and to a path of the node.

What must stay true: a pod gets only a volume that names its claim by uid; a volume for one pod is given to one pod.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nodeagent.volumes import hostpath, ownership
from nodeagent.volumes.localpath import LocalPathVolumes
from nodeagent.volumes.payload import VolumeError
from nodeagent.volumes.sources import unsupported
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.api.core.volume_binding import READ_WRITE_ONCE_POD, claims_of, mode_of, reaches
from tiphys.client.errors import ApiError
from tiphys.client.rest import Client


class ClaimNotReady(VolumeError):
    """The claim of a volume gives no volume (yet).  The text is that of the whole event."""


class BlockVolume(VolumeError):
    """The volume is a device for the container to see, which this node does not do."""


@dataclass(frozen=True)
class OnNode:
    """`owned` volumes are directories that this agent made."""

    path: Path
    owned: bool
    read_only: bool


class ClaimVolumes:
    """`labels` are those of this Node now."""

    def __init__(
        self, client: Client, local_path: LocalPathVolumes, node_name: str, labels: Callable[[], Mapping[str, str]]
    ) -> None:
        self._client, self._local_path = client, local_path
        self._node_name, self._labels = node_name, labels
        self._found: dict[str, dict[str, PersistentVolume]] = {}  # pod uid -> volume name -> what it is bound to
        self._exclusive: dict[str, str] = {}  # name of a volume for one pod -> uid of that pod

    async def find(self, pod: Pod) -> Mapping[str, PersistentVolume]:
        """Volume name -> the volume its claim is bound to, for all claims of the pod.  Raises ClaimNotReady."""
        uid, claims = pod.metadata.uid, claims_of(pod)
        found = self._found.setdefault(uid, {}) if claims else {}
        for name, claim in claims.items():
            if name not in found:
                try:
                    found[name] = await self._bound_volume(pod, name, claim)
                except VolumeError as error:
                    key = f"{pod.metadata.namespace}/{claim}"
                    raise ClaimNotReady(
                        f"Unable to attach or mount volumes: unmounted volumes=[{name}], unattached volumes=[], "
                        f"failed to process volumes=[{name}]: error processing PVC {key}: {error}"
                    ) from error
        return found

    def paths(self, pod_uid: str) -> dict[str, Path]:
        """Volume name -> where on this node the volume of its claim is, for what `find` has found."""
        sources = {name: one.spec.hostPath or one.spec.local for name, one in self._found.get(pod_uid, {}).items()}
        return {name: Path(source.path) for name, source in sources.items() if source is not None}

    def forget(self, pod_uid: str) -> None:
        """The pod uses nothing any more."""
        self._found.pop(pod_uid, None)
        for name in [name for name, user in self._exclusive.items() if user == pod_uid]:
            del self._exclusive[name]

    async def _bound_volume(self, pod: Pod, volume_name: str, claim_name: str) -> PersistentVolume:
        try:
            claim = await self._client.get(PersistentVolumeClaim, claim_name, pod.metadata.namespace)
        except ApiError as error:
            raise VolumeError(f"failed to fetch PVC from API server: {error}") from error
        _check_claim(pod, volume_name, claim)
        try:
            volume = await self._client.get(PersistentVolume, claim.spec.volumeName)
        except ApiError as error:
            name = claim.spec.volumeName
            raise VolumeError(f"failed to fetch PV {name} from API server: {error}") from error
        reference, what = volume.spec.claimRef, f"found PV object {volume.metadata.name}"
        if reference is None:
            raise VolumeError(f"{what} with nil pv.Spec.ClaimRef indicating it is not yet bound to the claim")
        if reference.uid != claim.metadata.uid:
            uids = f"a pv.Spec.ClaimRef.UID {reference.uid} that does not point to claim.UID {claim.metadata.uid}"
            raise VolumeError(f"{what} with {uids}")
        return volume

    def set_up(self, pod: Pod, volume: PersistentVolume, group: int, *, read_only: bool) -> OnNode:
        """Where the volume is on this node.  Raises VolumeError, OSError."""
        name = volume.metadata.name
        if mode_of(volume) == "Block":
            raise BlockVolume("volumeMode Block is not supported on this node")
        if not reaches(volume, self._node_name, self._labels()):
            raise VolumeError("no matching NodeSelectorTerms: the volume cannot be used on this node")
        if volume.spec.accessModes == [READ_WRITE_ONCE_POD] and self._exclusive.setdefault(name, pod.metadata.uid) != (
            pod.metadata.uid
        ):
            raise VolumeError("volume uses the ReadWriteOncePod access mode and is already in use by another pod")
        if volume.spec.hostPath is not None:
            source = volume.spec.hostPath
            return OnNode(hostpath.prepare(source.path, source.type or ""), False, read_only)
        if volume.spec.local is None:
            raise VolumeError(unsupported(volume.spec))
        own = self._local_path.make(volume)
        path = own or _local_directory(volume.spec.local.path)
        if group >= 0 and not read_only:
            context = pod.spec.securityContext
            ownership.set_group(path, group, (context.fsGroupChangePolicy if context else "") or "Always")
        return OnNode(path, own is not None, read_only)


def _check_claim(pod: Pod, volume_name: str, claim: PersistentVolumeClaim) -> None:
    """Raises VolumeError."""
    ephemeral = any(one.name == volume_name and one.ephemeral is not None for one in pod.spec.volumes)
    if ephemeral and all(one.uid != pod.metadata.uid for one in claim.metadata.ownerReferences):
        raise VolumeError("PVC was not created for this pod (pod is not owner)")
    if claim.metadata.deletionTimestamp:
        raise VolumeError("PVC is being deleted")
    if claim.status.phase != "Bound":
        raise VolumeError("PVC is not bound")
    if not claim.spec.volumeName:
        raise VolumeError("PVC has empty pvc.Spec.VolumeName")


def _local_directory(path: str) -> Path:
    """A directory somebody has prepared for a local volume."""
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise VolumeError(f'path "{path}" does not exist') from error
    if stat.S_ISBLK(mode):
        raise VolumeError(f'path "{path}" is a block device: this node does not format or mount devices')
    if not stat.S_ISDIR(mode):
        raise VolumeError(f'path "{path}" is not a directory')
    return Path(path)
