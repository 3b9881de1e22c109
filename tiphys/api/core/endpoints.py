"""Endpoints: the addresses behind a service, in the form older clients read."""

from typing import Annotated

from tiphys.api.core.references import ObjectReference
from tiphys.api.declaration import At, Int32, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class EndpointAddress(Model, name="io.k8s.api.core.v1.EndpointAddress", atomic=True):
    """An address of an endpoint."""

    ip: Annotated[str, At(1, required=True)] = ""
    hostname: Annotated[str, At(3)] = ""
    nodeName: Annotated[str | None, At(4)] = None
    targetRef: Annotated[ObjectReference | None, At(2)] = None


class EndpointPort(Model, name="io.k8s.api.core.v1.EndpointPort", atomic=True):
    """A port of an endpoint."""

    name: Annotated[str, At(1)] = ""
    port: Annotated[Int32, At(2, required=True)] = 0
    protocol: Annotated[str, At(3, enum=("SCTP", "TCP", "UDP"))] = ""
    appProtocol: Annotated[str | None, At(4)] = None


class EndpointSubset(Model, name="io.k8s.api.core.v1.EndpointSubset"):
    """Addresses that share their ports."""

    addresses: Annotated[list[EndpointAddress], At(1)] = []
    notReadyAddresses: Annotated[list[EndpointAddress], At(2)] = []
    ports: Annotated[list[EndpointPort], At(3)] = []


@kind(plural="endpoints", short_names=("ep",))
class Endpoints(Object, name="io.k8s.api.core.v1.Endpoints"):
    """The addresses behind a service."""

    apiVersion: str = "v1"
    kind: str = "Endpoints"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    subsets: Annotated[list[EndpointSubset], At(2)] = []


class EndpointsList(Object, name="io.k8s.api.core.v1.EndpointsList"):
    """A list of Endpoints objects."""

    apiVersion: str = "v1"
    kind: str = "EndpointsList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[Endpoints], At(2, required=True, list_type="")] = []
