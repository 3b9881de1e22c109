"""ResourceClaim: devices for pods."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta
from tiphys.api.resource.allocation import AllocatedDeviceStatus, AllocationResult
from tiphys.api.resource.request import DeviceClaim


class ResourceClaimSpec(Model, name="io.k8s.api.resource.v1.ResourceClaimSpec"):
    """What a claim asks for."""

    devices: Annotated[DeviceClaim, At(1, always=True)] = default(DeviceClaim)


class ResourceClaimConsumerReference(Model, name="io.k8s.api.resource.v1.ResourceClaimConsumerReference"):
    """Names an object that uses a claim."""

    apiGroup: Annotated[str, At(1)] = ""
    resource: Annotated[str, At(3, required=True)] = ""
    name: Annotated[str, At(4, required=True)] = ""
    uid: Annotated[str, At(5, required=True)] = ""


class ResourceClaimStatus(Model, name="io.k8s.api.resource.v1.ResourceClaimStatus"):
    """What a claim got and who uses it."""

    allocation: Annotated[AllocationResult | None, At(1)] = None
    reservedFor: Annotated[list[ResourceClaimConsumerReference], At(2, keys=("uid",), merge="uid")] = []
    devices: Annotated[list[AllocatedDeviceStatus], At(4, keys=("driver", "device", "pool", "shareID"))] = []


@kind(plural="resourceclaims", subresources=(SubresourceInfo("status"),))
class ResourceClaim(Object, name="io.k8s.api.resource.v1.ResourceClaim"):
    """A request for devices, and its answer."""

    apiVersion: str = "resource.k8s.io/v1"
    kind: str = "ResourceClaim"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[ResourceClaimSpec, At(2, required=True)] = default(ResourceClaimSpec)
    status: Annotated[ResourceClaimStatus, At(3)] = default(ResourceClaimStatus)


class ResourceClaimList(Object, name="io.k8s.api.resource.v1.ResourceClaimList"):
    """A list of ResourceClaim objects."""

    apiVersion: str = "resource.k8s.io/v1"
    kind: str = "ResourceClaimList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ResourceClaim], At(2, required=True, list_type="")] = []
