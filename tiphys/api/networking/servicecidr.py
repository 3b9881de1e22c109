"""ServiceCIDR: a range of addresses for services."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import Condition, ListMeta, ObjectMeta


class ServiceCIDRSpec(Model, name="io.k8s.api.networking.v1.ServiceCIDRSpec"):
    """The ranges, one for each family."""

    cidrs: Annotated[list[str], At(1)] = []


class ServiceCIDRStatus(Model, name="io.k8s.api.networking.v1.ServiceCIDRStatus"):
    """Whether the ranges are in use."""

    conditions: Annotated[list[Condition], At(1, keys=("type",), merge="type")] = []


@kind(plural="servicecidrs", namespaced=False, subresources=(SubresourceInfo("status"),))
class ServiceCIDR(Object, name="io.k8s.api.networking.v1.ServiceCIDR"):
    """Addresses services can get."""

    apiVersion: str = "networking.k8s.io/v1"
    kind: str = "ServiceCIDR"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[ServiceCIDRSpec, At(2)] = default(ServiceCIDRSpec)
    status: Annotated[ServiceCIDRStatus, At(3)] = default(ServiceCIDRStatus)


class ServiceCIDRList(Object, name="io.k8s.api.networking.v1.ServiceCIDRList"):
    """A list of ServiceCIDR objects."""

    apiVersion: str = "networking.k8s.io/v1"
    kind: str = "ServiceCIDRList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ServiceCIDR], At(2, required=True, list_type="")] = []
