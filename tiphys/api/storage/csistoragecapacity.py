"""CSIStorageCapacity: how much storage is left where."""

from typing import Annotated

from tiphys.api.declaration import At, Object, Quantity, default
from tiphys.api.kinds import kind
from tiphys.api.meta import LabelSelector, ListMeta, ObjectMeta


@kind(plural="csistoragecapacities")
class CSIStorageCapacity(Object, name="io.k8s.api.storage.v1.CSIStorageCapacity"):
    """How much storage of a class is left in a part of the cluster."""

    apiVersion: str = "storage.k8s.io/v1"
    kind: str = "CSIStorageCapacity"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    nodeTopology: Annotated[LabelSelector | None, At(2)] = None
    storageClassName: Annotated[str, At(3, required=True)] = ""
    capacity: Annotated[Quantity | None, At(4)] = None
    maximumVolumeSize: Annotated[Quantity | None, At(5)] = None


class CSIStorageCapacityList(Object, name="io.k8s.api.storage.v1.CSIStorageCapacityList"):
    """A list of CSIStorageCapacity objects."""

    apiVersion: str = "storage.k8s.io/v1"
    kind: str = "CSIStorageCapacityList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[CSIStorageCapacity], At(2, required=True, list_type="")] = []
