"""CSINode: which storage drivers run on a node."""

from typing import Annotated

from tiphys.api.declaration import NULL_IS_EMPTY, At, Int32, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class VolumeNodeResources(Model, name="io.k8s.api.storage.v1.VolumeNodeResources"):
    """How many volumes a driver can attach to a node."""

    count: Annotated[Int32 | None, At(1)] = None


class CSINodeDriver(Model, name="io.k8s.api.storage.v1.CSINodeDriver"):
    """One driver on a node."""

    name: Annotated[str, At(1, required=True)] = ""
    nodeID: Annotated[str, At(2, required=True)] = ""
    topologyKeys: Annotated[list[str], At(3, always=True), NULL_IS_EMPTY] = []
    allocatable: Annotated[VolumeNodeResources | None, At(4)] = None


class CSINodeSpec(Model, name="io.k8s.api.storage.v1.CSINodeSpec"):
    """The drivers of a node."""

    drivers: Annotated[list[CSINodeDriver], At(1, required=True, keys=("name",), merge="name")] = []


@kind(plural="csinodes", namespaced=False)
class CSINode(Object, name="io.k8s.api.storage.v1.CSINode"):
    """Which storage drivers run on a node."""

    apiVersion: str = "storage.k8s.io/v1"
    kind: str = "CSINode"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[CSINodeSpec, At(2, required=True)] = default(CSINodeSpec)


class CSINodeList(Object, name="io.k8s.api.storage.v1.CSINodeList"):
    """A list of CSINode objects."""

    apiVersion: str = "storage.k8s.io/v1"
    kind: str = "CSINodeList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[CSINode], At(2, required=True, list_type="")] = []
