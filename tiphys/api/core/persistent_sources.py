"""Sources only a persistent volume has."""

from typing import Annotated

from tiphys.api.core.references import ObjectReference, SecretReference
from tiphys.api.declaration import At, Int32, Model


class AzureFilePersistentVolumeSource(Model, name="io.k8s.api.core.v1.AzureFilePersistentVolumeSource"):
    """A file share of Azure."""

    secretName: Annotated[str, At(1, required=True)] = ""
    shareName: Annotated[str, At(2, required=True)] = ""
    readOnly: Annotated[bool, At(3)] = False
    secretNamespace: Annotated[str | None, At(4, always=True)] = None


class CephFSPersistentVolumeSource(Model, name="io.k8s.api.core.v1.CephFSPersistentVolumeSource"):
    """A Ceph file system."""

    monitors: Annotated[list[str], At(1, required=True)] = []
    path: Annotated[str, At(2)] = ""
    user: Annotated[str, At(3)] = ""
    secretFile: Annotated[str, At(4)] = ""
    secretRef: Annotated[SecretReference | None, At(5)] = None
    readOnly: Annotated[bool, At(6)] = False


class CinderPersistentVolumeSource(Model, name="io.k8s.api.core.v1.CinderPersistentVolumeSource"):
    """A disk of OpenStack."""

    volumeID: Annotated[str, At(1, required=True)] = ""
    fsType: Annotated[str, At(2)] = ""
    readOnly: Annotated[bool, At(3)] = False
    secretRef: Annotated[SecretReference | None, At(4)] = None


class CSIPersistentVolumeSource(Model, name="io.k8s.api.core.v1.CSIPersistentVolumeSource"):
    """A volume of a CSI driver."""

    driver: Annotated[str, At(1, required=True)] = ""
    volumeHandle: Annotated[str, At(2, required=True)] = ""
    readOnly: Annotated[bool, At(3)] = False
    fsType: Annotated[str, At(4)] = ""
    volumeAttributes: Annotated[dict[str, str], At(5)] = {}
    controllerPublishSecretRef: Annotated[SecretReference | None, At(6)] = None
    nodeStageSecretRef: Annotated[SecretReference | None, At(7)] = None
    nodePublishSecretRef: Annotated[SecretReference | None, At(8)] = None
    controllerExpandSecretRef: Annotated[SecretReference | None, At(9)] = None
    nodeExpandSecretRef: Annotated[SecretReference | None, At(10)] = None


class FlexPersistentVolumeSource(Model, name="io.k8s.api.core.v1.FlexPersistentVolumeSource"):
    """A volume of an external program."""

    driver: Annotated[str, At(1, required=True)] = ""
    fsType: Annotated[str, At(2)] = ""
    secretRef: Annotated[SecretReference | None, At(3)] = None
    readOnly: Annotated[bool, At(4)] = False
    options: Annotated[dict[str, str], At(5)] = {}


class GlusterfsPersistentVolumeSource(Model, name="io.k8s.api.core.v1.GlusterfsPersistentVolumeSource"):
    """A Gluster volume."""

    endpoints: Annotated[str, At(1, required=True)] = ""
    path: Annotated[str, At(2, required=True)] = ""
    readOnly: Annotated[bool, At(3)] = False
    endpointsNamespace: Annotated[str | None, At(4)] = None


class ISCSIPersistentVolumeSource(Model, name="io.k8s.api.core.v1.ISCSIPersistentVolumeSource"):
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
    secretRef: Annotated[SecretReference | None, At(10)] = None
    initiatorName: Annotated[str | None, At(12)] = None


class LocalVolumeSource(Model, name="io.k8s.api.core.v1.LocalVolumeSource"):
    """A disk or directory of one node."""

    path: Annotated[str, At(1, required=True)] = ""
    fsType: Annotated[str | None, At(2)] = None


class RBDPersistentVolumeSource(Model, name="io.k8s.api.core.v1.RBDPersistentVolumeSource"):
    """A Ceph block device."""

    monitors: Annotated[list[str], At(1, required=True)] = []
    image: Annotated[str, At(2, required=True)] = ""
    fsType: Annotated[str, At(3)] = ""
    pool: Annotated[str, At(4, default="rbd")] = ""
    user: Annotated[str, At(5, default="admin")] = ""
    keyring: Annotated[str, At(6, default="/etc/ceph/keyring")] = ""
    secretRef: Annotated[SecretReference | None, At(7)] = None
    readOnly: Annotated[bool, At(8)] = False


class ScaleIOPersistentVolumeSource(Model, name="io.k8s.api.core.v1.ScaleIOPersistentVolumeSource"):
    """A ScaleIO volume."""

    gateway: Annotated[str, At(1, required=True)] = ""
    system: Annotated[str, At(2, required=True)] = ""
    secretRef: Annotated[SecretReference | None, At(3, required=True)] = None
    sslEnabled: Annotated[bool, At(4)] = False
    protectionDomain: Annotated[str, At(5)] = ""
    storagePool: Annotated[str, At(6)] = ""
    storageMode: Annotated[str, At(7, default="ThinProvisioned")] = ""
    volumeName: Annotated[str, At(8)] = ""
    fsType: Annotated[str, At(9, default="xfs")] = ""
    readOnly: Annotated[bool, At(10)] = False


class StorageOSPersistentVolumeSource(Model, name="io.k8s.api.core.v1.StorageOSPersistentVolumeSource"):
    """A StorageOS volume."""

    volumeName: Annotated[str, At(1)] = ""
    volumeNamespace: Annotated[str, At(2)] = ""
    fsType: Annotated[str, At(3)] = ""
    readOnly: Annotated[bool, At(4)] = False
    secretRef: Annotated[ObjectReference | None, At(5)] = None
