"""StorageClass: how volumes for claims are made."""

from typing import Annotated

from tiphys.api.core.scheduling import TopologySelectorTerm
from tiphys.api.declaration import At, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


@kind(plural="storageclasses", short_names=("sc",), namespaced=False)
class StorageClass(Object, name="io.k8s.api.storage.v1.StorageClass"):
    """How volumes for claims are made."""

    apiVersion: str = "storage.k8s.io/v1"
    kind: str = "StorageClass"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    provisioner: Annotated[str, At(2, required=True)] = ""
    parameters: Annotated[dict[str, str], At(3)] = {}
    reclaimPolicy: Annotated[str | None, At(4, enum=("Delete", "Recycle", "Retain"))] = None
    mountOptions: Annotated[list[str], At(5)] = []
    allowVolumeExpansion: Annotated[bool | None, At(6)] = None
    volumeBindingMode: Annotated[str | None, At(7, enum=("Immediate", "WaitForFirstConsumer"))] = None
    allowedTopologies: Annotated[list[TopologySelectorTerm], At(8)] = []


class StorageClassList(Object, name="io.k8s.api.storage.v1.StorageClassList"):
    """A list of StorageClass objects."""

    apiVersion: str = "storage.k8s.io/v1"
    kind: str = "StorageClassList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[StorageClass], At(2, required=True, list_type="")] = []
