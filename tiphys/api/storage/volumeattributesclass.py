"""VolumeAttributesClass: attributes of volumes that may change later."""

from typing import Annotated

from tiphys.api.declaration import At, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


@kind(plural="volumeattributesclasses", short_names=("vac",), namespaced=False)
class VolumeAttributesClass(Object, name="io.k8s.api.storage.v1.VolumeAttributesClass"):
    """Attributes a volume can be given while it is in use."""

    apiVersion: str = "storage.k8s.io/v1"
    kind: str = "VolumeAttributesClass"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    driverName: Annotated[str, At(2, required=True)] = ""
    parameters: Annotated[dict[str, str], At(3)] = {}


class VolumeAttributesClassList(Object, name="io.k8s.api.storage.v1.VolumeAttributesClassList"):
    """A list of VolumeAttributesClass objects."""

    apiVersion: str = "storage.k8s.io/v1"
    kind: str = "VolumeAttributesClassList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[VolumeAttributesClass], At(2, required=True, list_type="")] = []
