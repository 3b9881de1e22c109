"""Volumes of a pod: the union of sources, and the sources the node makes itself."""

from typing import Annotated

from tiphys.api.core.env import ObjectFieldSelector, ResourceFieldSelector
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaimTemplate
from tiphys.api.core.references import KeyToPath, LocalObjectReference
from tiphys.api.core.storage_systems import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    AzureFileVolumeSource,
    CephFSVolumeSource,
    CinderVolumeSource,
    FCVolumeSource,
    FlexVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    GitRepoVolumeSource,
    GlusterfsVolumeSource,
    ISCSIVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    RBDVolumeSource,
    ScaleIOVolumeSource,
    StorageOSVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from tiphys.api.declaration import NULL_IS_EMPTY, At, Int32, Model, Quantity
from tiphys.api.meta import LabelSelector


class EmptyDirVolumeSource(Model, name="io.k8s.api.core.v1.EmptyDirVolumeSource"):
    """A directory that lives as long as the pod on its node."""

    medium: Annotated[str, At(1)] = ""
    sizeLimit: Annotated[Quantity | None, At(2)] = None


class HostPathVolumeSource(Model, name="io.k8s.api.core.v1.HostPathVolumeSource"):
    """A path of the node itself."""

    path: Annotated[str, At(1, required=True)] = ""
    type: Annotated[
        str | None,
        At(
            2,
            enum=("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"),
        ),
    ] = None


class ConfigMapVolumeSource(LocalObjectReference, name="io.k8s.api.core.v1.ConfigMapVolumeSource", inlined=1):
    """A config map as files."""

    items: Annotated[list[KeyToPath], At(2)] = []
    defaultMode: Annotated[Int32 | None, At(3)] = None
    optional: Annotated[bool | None, At(4)] = None


class SecretVolumeSource(Model, name="io.k8s.api.core.v1.SecretVolumeSource"):
    """A secret as files."""

    secretName: Annotated[str, At(1)] = ""
    items: Annotated[list[KeyToPath], At(2)] = []
    defaultMode: Annotated[Int32 | None, At(3)] = None
    optional: Annotated[bool | None, At(4)] = None


class DownwardAPIVolumeFile(Model, name="io.k8s.api.core.v1.DownwardAPIVolumeFile"):
    """One fact about the pod as a file."""

    path: Annotated[str, At(1, required=True)] = ""
    fieldRef: Annotated[ObjectFieldSelector | None, At(2)] = None
    resourceFieldRef: Annotated[ResourceFieldSelector | None, At(3)] = None
    mode: Annotated[Int32 | None, At(4)] = None


class DownwardAPIVolumeSource(Model, name="io.k8s.api.core.v1.DownwardAPIVolumeSource"):
    """Facts about the pod as files."""

    items: Annotated[list[DownwardAPIVolumeFile], At(1)] = []
    defaultMode: Annotated[Int32 | None, At(2)] = None


class ConfigMapProjection(LocalObjectReference, name="io.k8s.api.core.v1.ConfigMapProjection", inlined=1):
    """A config map as files of a projected volume."""

    items: Annotated[list[KeyToPath], At(2)] = []
    optional: Annotated[bool | None, At(4)] = None


class SecretProjection(LocalObjectReference, name="io.k8s.api.core.v1.SecretProjection", inlined=1):
    """A secret as files of a projected volume."""

    items: Annotated[list[KeyToPath], At(2)] = []
    optional: Annotated[bool | None, At(4)] = None


class DownwardAPIProjection(Model, name="io.k8s.api.core.v1.DownwardAPIProjection"):
    """Facts about the pod as files of a projected volume."""

    items: Annotated[list[DownwardAPIVolumeFile], At(1)] = []


class ServiceAccountTokenProjection(Model, name="io.k8s.api.core.v1.ServiceAccountTokenProjection"):
    """A token of the pod's service account as a file, renewed before it expires."""

    audience: Annotated[str, At(1)] = ""
    expirationSeconds: Annotated[int | None, At(2)] = None
    path: Annotated[str, At(3, required=True)] = ""


class ClusterTrustBundleProjection(Model, name="io.k8s.api.core.v1.ClusterTrustBundleProjection"):
    """Trust anchors as a file."""

    name: Annotated[str | None, At(1)] = None
    signerName: Annotated[str | None, At(2)] = None
    labelSelector: Annotated[LabelSelector | None, At(3)] = None
    optional: Annotated[bool | None, At(5)] = None
    path: Annotated[str, At(4, required=True)] = ""


class PodCertificateProjection(Model, name="io.k8s.api.core.v1.PodCertificateProjection"):
    """A private key and a certificate for the pod as files."""

    signerName: Annotated[str, At(1, required=True, always=False)] = ""
    keyType: Annotated[str, At(2, required=True, always=False)] = ""
    maxExpirationSeconds: Annotated[Int32 | None, At(3)] = None
    credentialBundlePath: Annotated[str, At(4)] = ""
    keyPath: Annotated[str, At(5)] = ""
    certificateChainPath: Annotated[str, At(6)] = ""
    userAnnotations: Annotated[dict[str, str], At(7)] = {}


class VolumeProjection(Model, name="io.k8s.api.core.v1.VolumeProjection"):
    """One of the things a projected volume is made of."""

    secret: Annotated[SecretProjection | None, At(1)] = None
    downwardAPI: Annotated[DownwardAPIProjection | None, At(2)] = None
    configMap: Annotated[ConfigMapProjection | None, At(3)] = None
    serviceAccountToken: Annotated[ServiceAccountTokenProjection | None, At(4)] = None
    clusterTrustBundle: Annotated[ClusterTrustBundleProjection | None, At(5)] = None
    podCertificate: Annotated[PodCertificateProjection | None, At(6)] = None


class ProjectedVolumeSource(Model, name="io.k8s.api.core.v1.ProjectedVolumeSource"):
    """Several sources in one directory."""

    sources: Annotated[list[VolumeProjection], At(1, always=True), NULL_IS_EMPTY] = []
    defaultMode: Annotated[Int32 | None, At(2)] = None


class PersistentVolumeClaimVolumeSource(Model, name="io.k8s.api.core.v1.PersistentVolumeClaimVolumeSource"):
    """The volume a claim of the same namespace is bound to."""

    claimName: Annotated[str, At(1, required=True)] = ""
    readOnly: Annotated[bool, At(2)] = False


class EphemeralVolumeSource(Model, name="io.k8s.api.core.v1.EphemeralVolumeSource"):
    """A claim that is made for the pod and goes with it."""

    volumeClaimTemplate: Annotated[PersistentVolumeClaimTemplate | None, At(1)] = None


class ImageVolumeSource(Model, name="io.k8s.api.core.v1.ImageVolumeSource"):
    """The content of an image, read-only."""

    reference: Annotated[str, At(1)] = ""
    pullPolicy: Annotated[str, At(2, enum=("Always", "IfNotPresent", "Never"))] = ""


class CSIVolumeSource(Model, name="io.k8s.api.core.v1.CSIVolumeSource"):
    """A volume a CSI driver makes for the pod."""

    driver: Annotated[str, At(1, required=True)] = ""
    readOnly: Annotated[bool | None, At(2)] = None
    fsType: Annotated[str | None, At(3)] = None
    volumeAttributes: Annotated[dict[str, str], At(4)] = {}
    nodePublishSecretRef: Annotated[LocalObjectReference | None, At(5)] = None


class VolumeSource(Model, name="io.k8s.api.core.v1.VolumeSource"):
    """The one source of a volume."""

    hostPath: Annotated[HostPathVolumeSource | None, At(1)] = None
    emptyDir: Annotated[EmptyDirVolumeSource | None, At(2)] = None
    gcePersistentDisk: Annotated[GCEPersistentDiskVolumeSource | None, At(3)] = None
    awsElasticBlockStore: Annotated[AWSElasticBlockStoreVolumeSource | None, At(4)] = None
    gitRepo: Annotated[GitRepoVolumeSource | None, At(5)] = None
    secret: Annotated[SecretVolumeSource | None, At(6)] = None
    nfs: Annotated[NFSVolumeSource | None, At(7)] = None
    iscsi: Annotated[ISCSIVolumeSource | None, At(8)] = None
    glusterfs: Annotated[GlusterfsVolumeSource | None, At(9)] = None
    persistentVolumeClaim: Annotated[PersistentVolumeClaimVolumeSource | None, At(10)] = None
    rbd: Annotated[RBDVolumeSource | None, At(11)] = None
    flexVolume: Annotated[FlexVolumeSource | None, At(12)] = None
    cinder: Annotated[CinderVolumeSource | None, At(13)] = None
    cephfs: Annotated[CephFSVolumeSource | None, At(14)] = None
    flocker: Annotated[FlockerVolumeSource | None, At(15)] = None
    downwardAPI: Annotated[DownwardAPIVolumeSource | None, At(16)] = None
    fc: Annotated[FCVolumeSource | None, At(17)] = None
    azureFile: Annotated[AzureFileVolumeSource | None, At(18)] = None
    configMap: Annotated[ConfigMapVolumeSource | None, At(19)] = None
    vsphereVolume: Annotated[VsphereVirtualDiskVolumeSource | None, At(20)] = None
    quobyte: Annotated[QuobyteVolumeSource | None, At(21)] = None
    azureDisk: Annotated[AzureDiskVolumeSource | None, At(22)] = None
    photonPersistentDisk: Annotated[PhotonPersistentDiskVolumeSource | None, At(23)] = None
    projected: Annotated[ProjectedVolumeSource | None, At(26)] = None
    portworxVolume: Annotated[PortworxVolumeSource | None, At(24)] = None
    scaleIO: Annotated[ScaleIOVolumeSource | None, At(25)] = None
    storageos: Annotated[StorageOSVolumeSource | None, At(27)] = None
    csi: Annotated[CSIVolumeSource | None, At(28)] = None
    ephemeral: Annotated[EphemeralVolumeSource | None, At(29)] = None
    image: Annotated[ImageVolumeSource | None, At(30)] = None


class Volume(VolumeSource, name="io.k8s.api.core.v1.Volume", inlined=2):
    """Storage the containers of a pod can mount, by name."""

    name: Annotated[str, At(1, "The name mounts refer to.", required=True)] = ""
