"""IPAddress: an address that is taken, and by whom."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class ParentReference(Model, name="io.k8s.api.networking.v1.ParentReference"):
    """Names the object an address belongs to."""

    group: Annotated[str, At(1)] = ""
    resource: Annotated[str, At(2, required=True, always=False)] = ""
    namespace: Annotated[str, At(3)] = ""
    name: Annotated[str, At(4, required=True, always=False)] = ""


class IPAddressSpec(Model, name="io.k8s.api.networking.v1.IPAddressSpec"):
    """Whose address it is."""

    parentRef: Annotated[ParentReference | None, At(1, required=True, always=False)] = None


@kind(plural="ipaddresses", short_names=("ip",), namespaced=False)
class IPAddress(Object, name="io.k8s.api.networking.v1.IPAddress"):
    """An address that is taken; its name is the address."""

    apiVersion: str = "networking.k8s.io/v1"
    kind: str = "IPAddress"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[IPAddressSpec, At(2, required=True, always=False)] = default(IPAddressSpec)


class IPAddressList(Object, name="io.k8s.api.networking.v1.IPAddressList"):
    """A list of IPAddress objects."""

    apiVersion: str = "networking.k8s.io/v1"
    kind: str = "IPAddressList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[IPAddress], At(2, required=True, list_type="")] = []
