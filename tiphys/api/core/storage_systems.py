"""Volume sources that name a storage system by its protocol or vendor."""

from typing import Annotated

from tiphys.api.core.references import LocalObjectReference
from tiphys.api.declaration import At, Int32, Model


class AWSElasticBlockStoreVolumeSource(Model, name="io.k8s.api.core.v1.AWSElasticBlockStoreVolumeSource"):
    """A disk of AWS."""

    volumeID: Annotated[str, At(1, required=True)] = ""
    fsType: Annotated[str, At(2)] = ""
    partition: Annotated[Int32, At(3)] = 0
    readOnly: Annotated[bool, At(4)] = False


class AzureDiskVolumeSource(Model, name="io.k8s.api.core.v1.AzureDiskVolumeSource"):
    """A disk of Azure."""

    diskName: Annotated[str, At(1, required=True)] = ""
    diskURI: Annotated[str, At(2, required=True)] = ""
    cachingMode: Annotated[str | None, At(3, default="ReadWrite", enum=("None", "ReadOnly", "ReadWrite"))] = None
    fsType: Annotated[str | None, At(4, default="ext4")] = None
    readOnly: Annotated[bool | None, At(5, default=False)] = None
    kind: Annotated[str | None, At(6, default="Shared", enum=("Dedicated", "Managed", "Shared"))] = None


class AzureFileVolumeSource(Model, name="io.k8s.api.core.v1.AzureFileVolumeSource"):
    """A file share of Azure."""

    secretName: Annotated[str, At(1, required=True)] = ""
    shareName: Annotated[str, At(2, required=True)] = ""
    readOnly: Annotated[bool, At(3)] = False


class CephFSVolumeSource(Model, name="io.k8s.api.core.v1.CephFSVolumeSource"):
    """A Ceph file system."""

    monitors: Annotated[list[str], At(1, required=True)] = []
    path: Annotated[str, At(2)] = ""
    user: Annotated[str, At(3)] = ""
    secretFile: Annotated[str, At(4)] = ""
    secretRef: Annotated[LocalObjectReference | None, At(5)] = None
    readOnly: Annotated[bool, At(6)] = False


class CinderVolumeSource(Model, name="io.k8s.api.core.v1.CinderVolumeSource"):
    """A disk of OpenStack."""

    volumeID: Annotated[str, At(1, required=True)] = ""
    fsType: Annotated[str, At(2)] = ""
    readOnly: Annotated[bool, At(3)] = False
    secretRef: Annotated[LocalObjectReference | None, At(4)] = None


class FCVolumeSource(Model, name="io.k8s.api.core.v1.FCVolumeSource"):
    """A Fibre Channel disk."""

    targetWWNs: Annotated[list[str], At(1)] = []
    lun: Annotated[Int32 | None, At(2)] = None
    fsType: Annotated[str, At(3)] = ""
    readOnly: Annotated[bool, At(4)] = False
    wwids: Annotated[list[str], At(5)] = []


class FlexVolumeSource(Model, name="io.k8s.api.core.v1.FlexVolumeSource"):
    """A volume of an external program."""

    driver: Annotated[str, At(1, required=True)] = ""
    fsType: Annotated[str, At(2)] = ""
    secretRef: Annotated[LocalObjectReference | None, At(3)] = None
    readOnly: Annotated[bool, At(4)] = False
    options: Annotated[dict[str, str], At(5)] = {}


class FlockerVolumeSource(Model, name="io.k8s.api.core.v1.FlockerVolumeSource"):
    """A Flocker data set."""

    datasetName: Annotated[str, At(1)] = ""
    datasetUUID: Annotated[str, At(2)] = ""


class GCEPersistentDiskVolumeSource(Model, name="io.k8s.api.core.v1.GCEPersistentDiskVolumeSource"):
    """A disk of Google Cloud."""

    pdName: Annotated[str, At(1, required=True)] = ""
    fsType: Annotated[str, At(2)] = ""
    partition: Annotated[Int32, At(3)] = 0
    readOnly: Annotated[bool, At(4)] = False


class GitRepoVolumeSource(Model, name="io.k8s.api.core.v1.GitRepoVolumeSource"):
    """A clone of a git repository; refused by nodes."""

    repository: Annotated[str, At(1, required=True)] = ""
    revision: Annotated[str, At(2)] = ""
    directory: Annotated[str, At(3)] = ""


class GlusterfsVolumeSource(Model, name="io.k8s.api.core.v1.GlusterfsVolumeSource"):
    """A Gluster volume."""

    endpoints: Annotated[str, At(1, required=True)] = ""
    path: Annotated[str, At(2, required=True)] = ""
    readOnly: Annotated[bool, At(3)] = False


class ISCSIVolumeSource(Model, name="io.k8s.api.core.v1.ISCSIVolumeSource"):
    """An iSCSI disk."""

    targetPortal: Annotated[str, At(1, required=True)] = ""
    iqn: Annotated[str, At(2, required=True)] = ""
    lun: Annotated[Int32, At(3, required=True)] = 0
    iscsiInterface: Annotated[str, At(4, default="default")] = ""
    fsType: Annotated[str, At(5)] = ""
    readOnly: Annotated[bool, At(6)] = False
    portals: Annotated[list[str], At(7)] = []
    chapAuthDiscovery: Annotated[bool, At(8)] = False
    chapAuthSession: Annotated[bool, At(11)] = False
    secretRef: Annotated[LocalObjectReference | None, At(10)] = None
    initiatorName: Annotated[str | None, At(12)] = None


class NFSVolumeSource(Model, name="io.k8s.api.core.v1.NFSVolumeSource"):
    """An NFS export."""

    server: Annotated[str, At(1, required=True)] = ""
    path: Annotated[str, At(2, required=True)] = ""
    readOnly: Annotated[bool, At(3)] = False


class PhotonPersistentDiskVolumeSource(Model, name="io.k8s.api.core.v1.PhotonPersistentDiskVolumeSource"):
    """A disk of Photon."""

    pdID: Annotated[str, At(1, required=True)] = ""
    fsType: Annotated[str, At(2)] = ""


class PortworxVolumeSource(Model, name="io.k8s.api.core.v1.PortworxVolumeSource"):
    """A Portworx volume."""

    volumeID: Annotated[str, At(1, required=True)] = ""
    fsType: Annotated[str, At(2)] = ""
    readOnly: Annotated[bool, At(3)] = False


class QuobyteVolumeSource(Model, name="io.k8s.api.core.v1.QuobyteVolumeSource"):
    """A Quobyte volume."""

    registry: Annotated[str, At(1, required=True)] = ""
    volume: Annotated[str, At(2, required=True)] = ""
    readOnly: Annotated[bool, At(3)] = False
    user: Annotated[str, At(4)] = ""
    group: Annotated[str, At(5)] = ""
    tenant: Annotated[str, At(6)] = ""


class RBDVolumeSource(Model, name="io.k8s.api.core.v1.RBDVolumeSource"):
    """A Ceph block device."""

    monitors: Annotated[list[str], At(1, required=True)] = []
    image: Annotated[str, At(2, required=True)] = ""
    fsType: Annotated[str, At(3)] = ""
    pool: Annotated[str, At(4, default="rbd")] = ""
    user: Annotated[str, At(5, default="admin")] = ""
    keyring: Annotated[str, At(6, default="/etc/ceph/keyring")] = ""
    secretRef: Annotated[LocalObjectReference | None, At(7)] = None
    readOnly: Annotated[bool, At(8)] = False


class ScaleIOVolumeSource(Model, name="io.k8s.api.core.v1.ScaleIOVolumeSource"):
    """A ScaleIO volume."""

    gateway: Annotated[str, At(1, required=True)] = ""
    system: Annotated[str, At(2, required=True)] = ""
    secretRef: Annotated[LocalObjectReference | None, At(3, required=True)] = None
    sslEnabled: Annotated[bool, At(4)] = False
    protectionDomain: Annotated[str, At(5)] = ""
    storagePool: Annotated[str, At(6)] = ""
    storageMode: Annotated[str, At(7, default="ThinProvisioned")] = ""
    volumeName: Annotated[str, At(8)] = ""
    fsType: Annotated[str, At(9, default="xfs")] = ""
    readOnly: Annotated[bool, At(10)] = False


class StorageOSVolumeSource(Model, name="io.k8s.api.core.v1.StorageOSVolumeSource"):
    """A StorageOS volume."""

    volumeName: Annotated[str, At(1)] = ""
    volumeNamespace: Annotated[str, At(2)] = ""
    fsType: Annotated[str, At(3)] = ""
    readOnly: Annotated[bool, At(4)] = False
    secretRef: Annotated[LocalObjectReference | None, At(5)] = None


class VsphereVirtualDiskVolumeSource(Model, name="io.k8s.api.core.v1.VsphereVirtualDiskVolumeSource"):
    """A disk of vSphere."""

    volumePath: Annotated[str, At(1, required=True)] = ""
    fsType: Annotated[str, At(2)] = ""
    storagePolicyName: Annotated[str, At(3)] = ""
    storagePolicyID: Annotated[str, At(4)] = ""
