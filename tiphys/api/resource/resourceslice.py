"""ResourceSlice: devices a driver has published."""

from typing import Annotated

from tiphys.api.core.scheduling import NodeSelector
from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta
from tiphys.api.resource.device import CounterSet, Device


class ResourcePool(Model, name="io.k8s.api.resource.v1.ResourcePool"):
    """The pool a slice is a part of."""

    name: Annotated[str, At(1, required=True)] = ""
    generation: Annotated[int, At(2, required=True)] = 0
    resourceSliceCount: Annotated[int, At(3, required=True)] = 0


class ResourceSliceSpec(Model, name="io.k8s.api.resource.v1.ResourceSliceSpec"):
    """Devices of one driver, and which nodes reach them."""

    driver: Annotated[str, At(1, required=True)] = ""
    pool: Annotated[ResourcePool, At(2, required=True)] = default(ResourcePool)
    nodeName: Annotated[str | None, At(3)] = None
    nodeSelector: Annotated[NodeSelector | None, At(4)] = None
    allNodes: Annotated[bool | None, At(5)] = None
    devices: Annotated[list[Device], At(6)] = []
    perDeviceNodeSelection: Annotated[bool | None, At(7)] = None
    sharedCounters: Annotated[list[CounterSet], At(8)] = []


@kind(plural="resourceslices", namespaced=False, generation=True)
class ResourceSlice(Object, name="io.k8s.api.resource.v1.ResourceSlice"):
    """Devices a driver has published."""

    apiVersion: str = "resource.k8s.io/v1"
    kind: str = "ResourceSlice"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[ResourceSliceSpec, At(2, required=True)] = default(ResourceSliceSpec)


class ResourceSliceList(Object, name="io.k8s.api.resource.v1.ResourceSliceList"):
    """A list of ResourceSlice objects."""

    apiVersion: str = "resource.k8s.io/v1"
    kind: str = "ResourceSliceList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ResourceSlice], At(2, required=True, list_type="")] = []
