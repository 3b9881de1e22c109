"""PersistentVolumeClaim: storage asked for, and the template of it inside a pod."""

from typing import Annotated

from tiphys.api.core.references import TypedLocalObjectReference, TypedObjectReference
from tiphys.api.declaration import At, Model, Object, Quantity, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import LabelSelector, ListMeta, ObjectMeta


class VolumeResourceRequirements(Model, name="io.k8s.api.core.v1.VolumeResourceRequirements"):
    """How much storage is needed."""

    limits: Annotated[dict[str, Quantity], At(1)] = {}
    requests: Annotated[dict[str, Quantity], At(2)] = {}


class PersistentVolumeClaimSpec(Model, name="io.k8s.api.core.v1.PersistentVolumeClaimSpec"):
    """What storage is asked for."""

    accessModes: Annotated[
        list[str],
        At(1, enum=("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")),
    ] = []
    selector: Annotated[LabelSelector | None, At(4)] = None
    resources: Annotated[VolumeResourceRequirements, At(2)] = default(VolumeResourceRequirements)
    volumeName: Annotated[str, At(3)] = ""
    storageClassName: Annotated[str | None, At(5)] = None
    volumeMode: Annotated[str | None, At(6, enum=("Block", "Filesystem"))] = None
    dataSource: Annotated[TypedLocalObjectReference | None, At(7)] = None
    dataSourceRef: Annotated[TypedObjectReference | None, At(8)] = None
    volumeAttributesClassName: Annotated[str | None, At(9)] = None


class PersistentVolumeClaimTemplate(Model, name="io.k8s.api.core.v1.PersistentVolumeClaimTemplate"):
    """The claim made for a pod with an ephemeral volume."""

    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[PersistentVolumeClaimSpec, At(2, required=True)] = default(PersistentVolumeClaimSpec)


class PersistentVolumeClaimCondition(Model, name="io.k8s.api.core.v1.PersistentVolumeClaimCondition"):
    """One aspect of a claim's state."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    lastProbeTime: Annotated[Time | None, At(3, always=True)] = None
    lastTransitionTime: Annotated[Time | None, At(4, always=True)] = None
    reason: Annotated[str, At(5)] = ""
    message: Annotated[str, At(6)] = ""


class ModifyVolumeStatus(Model, name="io.k8s.api.core.v1.ModifyVolumeStatus"):
    """How far a change of the volume's attributes has come."""

    targetVolumeAttributesClassName: Annotated[str, At(1)] = ""
    status: Annotated[str, At(2, required=True, enum=("InProgress", "Infeasible", "Pending"))] = ""


class PersistentVolumeClaimStatus(Model, name="io.k8s.api.core.v1.PersistentVolumeClaimStatus"):
    """What storage was got."""

    phase: Annotated[str, At(1, enum=("Bound", "Lost", "Pending"))] = ""
    accessModes: Annotated[
        list[str],
        At(2, enum=("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")),
    ] = []
    capacity: Annotated[dict[str, Quantity], At(3)] = {}
    conditions: Annotated[list[PersistentVolumeClaimCondition], At(4, keys=("type",), merge="type")] = []
    allocatedResources: Annotated[dict[str, Quantity], At(5)] = {}
    allocatedResourceStatuses: Annotated[dict[str, str], At(7)] = {}
    currentVolumeAttributesClassName: Annotated[str | None, At(8)] = None
    modifyVolumeStatus: Annotated[ModifyVolumeStatus | None, At(9)] = None


@kind(plural="persistentvolumeclaims", short_names=("pvc",), subresources=(SubresourceInfo("status"),))
class PersistentVolumeClaim(Object, name="io.k8s.api.core.v1.PersistentVolumeClaim"):
    """A request for storage, and its answer."""

    apiVersion: str = "v1"
    kind: str = "PersistentVolumeClaim"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[PersistentVolumeClaimSpec, At(2)] = default(PersistentVolumeClaimSpec)
    status: Annotated[PersistentVolumeClaimStatus, At(3)] = default(PersistentVolumeClaimStatus)


class PersistentVolumeClaimList(Object, name="io.k8s.api.core.v1.PersistentVolumeClaimList"):
    """A list of PersistentVolumeClaim objects."""

    apiVersion: str = "v1"
    kind: str = "PersistentVolumeClaimList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[PersistentVolumeClaim], At(2, required=True, list_type="")] = []
