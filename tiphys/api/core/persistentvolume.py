"""PersistentVolume: a piece of storage of the cluster."""

from typing import Annotated

from tiphys.api.core.persistent_sources import (
    AzureFilePersistentVolumeSource,
    CephFSPersistentVolumeSource,
    CinderPersistentVolumeSource,
    CSIPersistentVolumeSource,
    FlexPersistentVolumeSource,
    GlusterfsPersistentVolumeSource,
    ISCSIPersistentVolumeSource,
    LocalVolumeSource,
    RBDPersistentVolumeSource,
    ScaleIOPersistentVolumeSource,
    StorageOSPersistentVolumeSource,
)
from tiphys.api.core.references import ObjectReference
from tiphys.api.core.scheduling import NodeSelector
from tiphys.api.core.storage_systems import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    FCVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from tiphys.api.core.volumes import HostPathVolumeSource
from tiphys.api.declaration import At, Model, Object, Quantity, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


class PersistentVolumeSource(Model, name="io.k8s.api.core.v1.PersistentVolumeSource"):
    """The one source of a persistent volume."""

    gcePersistentDisk: Annotated[GCEPersistentDiskVolumeSource | None, At(1)] = None
    awsElasticBlockStore: Annotated[AWSElasticBlockStoreVolumeSource | None, At(2)] = None
    hostPath: Annotated[HostPathVolumeSource | None, At(3)] = None
    glusterfs: Annotated[GlusterfsPersistentVolumeSource | None, At(4)] = None
    nfs: Annotated[NFSVolumeSource | None, At(5)] = None
    rbd: Annotated[RBDPersistentVolumeSource | None, At(6)] = None
    iscsi: Annotated[ISCSIPersistentVolumeSource | None, At(7)] = None
    cinder: Annotated[CinderPersistentVolumeSource | None, At(8)] = None
    cephfs: Annotated[CephFSPersistentVolumeSource | None, At(9)] = None
    fc: Annotated[FCVolumeSource | None, At(10)] = None
    flocker: Annotated[FlockerVolumeSource | None, At(11)] = None
    flexVolume: Annotated[FlexPersistentVolumeSource | None, At(12)] = None
    azureFile: Annotated[AzureFilePersistentVolumeSource | None, At(13)] = None
    vsphereVolume: Annotated[VsphereVirtualDiskVolumeSource | None, At(14)] = None
    quobyte: Annotated[QuobyteVolumeSource | None, At(15)] = None
    azureDisk: Annotated[AzureDiskVolumeSource | None, At(16)] = None
    photonPersistentDisk: Annotated[PhotonPersistentDiskVolumeSource | None, At(17)] = None
    portworxVolume: Annotated[PortworxVolumeSource | None, At(18)] = None
    scaleIO: Annotated[ScaleIOPersistentVolumeSource | None, At(19)] = None
    local: Annotated[LocalVolumeSource | None, At(20)] = None
    storageos: Annotated[StorageOSPersistentVolumeSource | None, At(21)] = None
    csi: Annotated[CSIPersistentVolumeSource | None, At(22)] = None


class VolumeNodeAffinity(Model, name="io.k8s.api.core.v1.VolumeNodeAffinity"):
    """From which nodes a volume can be used."""

    required: Annotated[NodeSelector | None, At(1)] = None


class PersistentVolumeSpec(PersistentVolumeSource, name="io.k8s.api.core.v1.PersistentVolumeSpec", inlined=2):
    """What a persistent volume is."""

    capacity: Annotated[dict[str, Quantity], At(1)] = {}
    accessModes: Annotated[
        list[str],
        At(3, enum=("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")),
    ] = []
    claimRef: Annotated[ObjectReference | None, At(4)] = None
    persistentVolumeReclaimPolicy: Annotated[str, At(5, enum=("Delete", "Recycle", "Retain"))] = ""
    storageClassName: Annotated[str, At(6)] = ""
    mountOptions: Annotated[list[str], At(7)] = []
    volumeMode: Annotated[str | None, At(8, enum=("Block", "Filesystem"))] = None
    nodeAffinity: Annotated[VolumeNodeAffinity | None, At(9)] = None
    volumeAttributesClassName: Annotated[str | None, At(10)] = None


class PersistentVolumeStatus(Model, name="io.k8s.api.core.v1.PersistentVolumeStatus"):
    """Where a persistent volume is in its life."""

    phase: Annotated[str, At(1, enum=("Available", "Bound", "Failed", "Pending", "Released"))] = ""
    message: Annotated[str, At(2)] = ""
    reason: Annotated[str, At(3)] = ""
    lastPhaseTransitionTime: Annotated[Time | None, At(4)] = None


@kind(plural="persistentvolumes", short_names=("pv",), namespaced=False, subresources=(SubresourceInfo("status"),))
class PersistentVolume(Object, name="io.k8s.api.core.v1.PersistentVolume"):
    """A piece of storage that claims can be bound to."""

    apiVersion: str = "v1"
    kind: str = "PersistentVolume"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[PersistentVolumeSpec, At(2)] = default(PersistentVolumeSpec)
    status: Annotated[PersistentVolumeStatus, At(3)] = default(PersistentVolumeStatus)


class PersistentVolumeList(Object, name="io.k8s.api.core.v1.PersistentVolumeList"):
    """A list of PersistentVolume objects."""

    apiVersion: str = "v1"
    kind: str = "PersistentVolumeList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[PersistentVolume], At(2, required=True, list_type="")] = []
