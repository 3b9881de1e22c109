"""The built-in storage class's provisioner: a claim gets a directory on the node its first pod was given.

This half only writes objects: a PersistentVolume with a path below the directory that the node itself has announced
(an annotation of its Node), the node's affinity, and a finalizer.  The node's agent makes the directory when a pod
first uses it, and after the volume's deletion removes it and then takes the finalizer off
(nodeagent/volumes/localpath.py).
What must stay true: a path comes from nothing a user wrote; a directory is only removed on a node that sees its volume
deleted, released and with the reclaim policy Delete, so lost or restored objects never cost data.
"""

from __future__ import annotations

from typing import Any, ClassVar

from controllers.storageprotection import without
from tiphys.api.core.node import Node
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.volume_binding import (
    LOCAL_PATH_FINALIZER,
    LOCAL_PATH_NODE,
    LOCAL_PATH_PROVISIONER,
    LOCAL_PATH_ROOT,
    PROVISIONED_BY,
    READ_WRITE_ONCE_POD,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
    claim_class,
    mode_of,
)
from tiphys.api.names import is_label_value
from tiphys.api.storage.storageclass import StorageClass
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError

HOSTNAME = "kubernetes.io/hostname"


class CannotProvision(ValueError):
    """Why there will be no volume; `elsewhere` when another node might do."""

    def __init__(self, cause: str, *, elsewhere: bool = False) -> None:
        super().__init__(cause)
        self.elsewhere = elsewhere


def volume_for(claim: PersistentVolumeClaim, storage_class: StorageClass, node: Node | None) -> PersistentVolume:
    """The volume as it is created.  Raises CannotProvision."""
    _check_claim(claim, storage_class)
    if node is None:
        raise CannotProvision(
            f'node "{claim.metadata.annotations[SELECTED_NODE]}" does not exist any more', elsewhere=True
        )
    root, hostname = node.metadata.annotations.get(LOCAL_PATH_ROOT, ""), node.metadata.labels.get(HOSTNAME, "")
    if not is_plain_path(root) or not hostname or is_label_value(node.metadata.name):
        raise CannotProvision(f'node "{node.metadata.name}" offers no directories for volumes', elsewhere=True)
    meta, name = claim.metadata, f"pvc-{claim.metadata.uid}"
    hostname_is = {"key": HOSTNAME, "operator": "In", "values": [hostname]}
    return PersistentVolume.model_validate(
        {
            "metadata": {
                "name": name,
                "annotations": {PROVISIONED_BY: LOCAL_PATH_PROVISIONER},
                "labels": {LOCAL_PATH_NODE: node.metadata.name},
                "finalizers": [LOCAL_PATH_FINALIZER],
            },
            "spec": {
                "capacity": {"storage": claim.spec.resources.requests["storage"]},
                "accessModes": claim.spec.accessModes,
                "persistentVolumeReclaimPolicy": storage_class.reclaimPolicy or "Delete",
                "storageClassName": storage_class.metadata.name,
                "volumeMode": "Filesystem",
                "local": {"path": f"{root}/{name}"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname_is]}]}},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": meta.namespace,
                    "name": meta.name,
                    "uid": meta.uid,
                    "resourceVersion": meta.resourceVersion,
                },
            },
        }
    )


def _check_claim(claim: PersistentVolumeClaim, storage_class: StorageClass) -> None:
    if storage_class.parameters or storage_class.mountOptions:
        raise CannotProvision("the storage class must have neither parameters nor mountOptions")
    if SELECTED_NODE not in claim.metadata.annotations:
        raise CannotProvision("the storage class must have volumeBindingMode WaitForFirstConsumer")
    if mode_of(claim) != "Filesystem":
        raise CannotProvision("block volumes are not supported")
    if not set(claim.spec.accessModes) <= {"ReadWriteOnce", READ_WRITE_ONCE_POD}:
        raise CannotProvision("only the access modes ReadWriteOnce and ReadWriteOncePod are supported")
    if claim.spec.selector is not None:
        raise CannotProvision("claim.Spec.Selector is not supported")
    if claim.spec.dataSource is not None or claim.spec.dataSourceRef is not None:
        raise CannotProvision("data sources are not supported")


def is_plain_path(path: str) -> bool:
    """Absolute, with neither "." nor ".." nor anything that is no name; not "/" itself."""
    parts = path.split("/")
    return path.startswith("/") and not {"", ".", ".."} & set(parts[1:]) and "\0" not in path


def is_ours(volume: PersistentVolume) -> bool:
    return volume.metadata.annotations.get(PROVISIONED_BY) == LOCAL_PATH_PROVISIONER


class LocalPathProvisioner(Controller):
    name: ClassVar = "local-path-provisioner-controller"
    kind = PersistentVolumeClaim
    reads = (StorageClass, Node)
    writes = (Writes(PersistentVolume, ("create",)), Writes(PersistentVolumeClaim, ("patch",)))
    workers = 2

    async def reconcile(self, key: Key) -> float | None:
        claim = self.cache(PersistentVolumeClaim).get(*key)
        if claim is None or claim.spec.volumeName or claim.metadata.deletionTimestamp:
            return None
        if claim.metadata.annotations.get(STORAGE_PROVISIONER) != LOCAL_PATH_PROVISIONER:
            return None  # the binder asks only when no volume there is fits
        found = self.cache(StorageClass).get("", claim_class(claim))
        if found is None or found.provisioner != LOCAL_PATH_PROVISIONER:
            return None
        node = self.cache(Node).get("", claim.metadata.annotations.get(SELECTED_NODE, ""))
        try:
            await self._provision(claim, volume_for(claim, found, node))
        except CannotProvision as cause:
            text = f'failed to provision volume with StorageClass "{found.metadata.name}": {cause}'
            self._say(claim, "Warning", "ProvisioningFailed", text)
            if cause.elsewhere:
                await self._give_back(claim)
        return None

    async def _provision(self, claim: PersistentVolumeClaim, volume: PersistentVolume) -> None:
        meta = claim.metadata
        text = f'External provisioner is provisioning volume for claim "{meta.namespace}/{meta.name}"'
        self._say(claim, "Normal", "Provisioning", text)
        try:
            await self.client.create(volume)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            return
        text = f"Successfully provisioned volume {volume.metadata.name}"
        self._say(claim, "Normal", "ProvisioningSucceeded", text)

    async def _give_back(self, claim: PersistentVolumeClaim) -> None:
        """The scheduler chooses anew."""
        meta = claim.metadata
        metadata = {"resourceVersion": meta.resourceVersion, "annotations": {SELECTED_NODE: None}}
        await self.client.patch(PersistentVolumeClaim, meta.name, meta.namespace, {"metadata": metadata})

    def _say(self, claim: PersistentVolumeClaim, kind: str, reason: str, text: str) -> None:
        self.events.event(claim, kind, reason, text, source=LOCAL_PATH_PROVISIONER)


class LocalPathReclaimer(Controller):
    """Deletes released volumes, and lets go of those whose directory nobody will remove."""

    name: ClassVar = "local-path-reclaimer-controller"
    kind = PersistentVolume
    reads = (Node,)
    writes = (Writes(PersistentVolume, ("delete", "patch")), Writes(Node, ("get",)))
    workers = 2

    def setup(self) -> None:
        volumes = self.cache(PersistentVolume)
        volumes.add_index(LOCAL_PATH_NODE, lambda one: [one.metadata.labels.get(LOCAL_PATH_NODE, "")])
        self.on(
            Node,
            lambda node: [Key("", one.metadata.name) for one in volumes.by_index(LOCAL_PATH_NODE, node.metadata.name)],
        )

    async def reconcile(self, key: Key) -> float | None:
        volume = self.cache(PersistentVolume).get(*key)
        if volume is None or not is_ours(volume):
            return None
        meta, removes = volume.metadata, volume.spec.persistentVolumeReclaimPolicy == "Delete"
        if not meta.deletionTimestamp:
            if removes and volume.status.phase == "Released":
                await self.client.delete(
                    PersistentVolume, meta.name, uid=meta.uid, resource_version=meta.resourceVersion
                )
            return None
        if volume.status.phase == "Bound" or LOCAL_PATH_FINALIZER not in meta.finalizers:
            return None
        if not removes or not await self._node_exists(meta.labels.get(LOCAL_PATH_NODE, "")):
            finalizers = without(meta.finalizers, LOCAL_PATH_FINALIZER)
            change: dict[str, Any] = {"metadata": {"resourceVersion": meta.resourceVersion, "finalizers": finalizers}}
            await self.client.patch(PersistentVolume, meta.name, "", change)
        return None

    async def _node_exists(self, name: str) -> bool:
        if not name or self.cache(Node).get("", name) is not None:
            return bool(name)
        try:
            await self.client.get(Node, name)
        except ApiError as error:
            if error.not_found:
                return False
            raise
        return True
