"""DeviceClass: a sort of devices that claims can ask for."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta
from tiphys.api.resource.selection import DeviceClassConfiguration, DeviceSelector


class DeviceClassSpec(Model, name="io.k8s.api.resource.v1.DeviceClassSpec"):
    """Which devices belong to a class, and their settings."""

    selectors: Annotated[list[DeviceSelector], At(1)] = []
    config: Annotated[list[DeviceClassConfiguration], At(2)] = []
    extendedResourceName: Annotated[str | None, At(4)] = None


@kind(plural="deviceclasses", namespaced=False, generation=True)
class DeviceClass(Object, name="io.k8s.api.resource.v1.DeviceClass"):
    """A sort of devices that claims can ask for."""

    apiVersion: str = "resource.k8s.io/v1"
    kind: str = "DeviceClass"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[DeviceClassSpec, At(2, required=True)] = default(DeviceClassSpec)


class DeviceClassList(Object, name="io.k8s.api.resource.v1.DeviceClassList"):
    """A list of DeviceClass objects."""

    apiVersion: str = "resource.k8s.io/v1"
    kind: str = "DeviceClassList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[DeviceClass], At(2, required=True, list_type="")] = []
