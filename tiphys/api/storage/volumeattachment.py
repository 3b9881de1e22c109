"""VolumeAttachment: a volume is to be attached to a node."""

from typing import Annotated

from tiphys.api.core.persistentvolume import PersistentVolumeSpec
from tiphys.api.declaration import At, Int32, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


class VolumeAttachmentSource(Model, name="io.k8s.api.storage.v1.VolumeAttachmentSource"):
    """What is attached."""

    persistentVolumeName: Annotated[str | None, At(1)] = None
    inlineVolumeSpec: Annotated[PersistentVolumeSpec | None, At(2)] = None


class VolumeAttachmentSpec(Model, name="io.k8s.api.storage.v1.VolumeAttachmentSpec"):
    """What is to be attached to which node, by whom."""

    attacher: Annotated[str, At(1, required=True)] = ""
    source: Annotated[VolumeAttachmentSource, At(2, required=True)] = default(VolumeAttachmentSource)
    nodeName: Annotated[str, At(3, required=True)] = ""


class VolumeError(Model, name="io.k8s.api.storage.v1.VolumeError"):
    """What went wrong, and when."""

    time: Annotated[Time | None, At(1, always=True)] = None
    message: Annotated[str, At(2)] = ""
    errorCode: Annotated[Int32 | None, At(3)] = None


class VolumeAttachmentStatus(Model, name="io.k8s.api.storage.v1.VolumeAttachmentStatus"):
    """Whether the volume is attached."""

    attached: Annotated[bool, At(1, required=True)] = False
    attachmentMetadata: Annotated[dict[str, str], At(2)] = {}
    attachError: Annotated[VolumeError | None, At(3)] = None
    detachError: Annotated[VolumeError | None, At(4)] = None


@kind(plural="volumeattachments", namespaced=False, subresources=(SubresourceInfo("status"),))
class VolumeAttachment(Object, name="io.k8s.api.storage.v1.VolumeAttachment"):
    """The wish to attach a volume to a node, and its outcome."""

    apiVersion: str = "storage.k8s.io/v1"
    kind: str = "VolumeAttachment"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[VolumeAttachmentSpec, At(2, required=True)] = default(VolumeAttachmentSpec)
    status: Annotated[VolumeAttachmentStatus, At(3)] = default(VolumeAttachmentStatus)


class VolumeAttachmentList(Object, name="io.k8s.api.storage.v1.VolumeAttachmentList"):
    """A list of VolumeAttachment objects."""

    apiVersion: str = "storage.k8s.io/v1"
    kind: str = "VolumeAttachmentList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[VolumeAttachment], At(2, required=True, list_type="")] = []
