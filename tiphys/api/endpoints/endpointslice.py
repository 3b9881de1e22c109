"""EndpointSlice: some of the addresses behind a service."""

from typing import Annotated

from tiphys.api.core.references import ObjectReference
from tiphys.api.declaration import NULL_IS_EMPTY, At, Int32, Model, Object, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class EndpointConditions(Model, name="io.k8s.api.discovery.v1.EndpointConditions"):
    """Whether an endpoint takes traffic."""

    ready: Annotated[bool | None, At(1)] = None
    serving: Annotated[bool | None, At(2)] = None
    terminating: Annotated[bool | None, At(3)] = None


class ForZone(Model, name="io.k8s.api.discovery.v1.ForZone"):
    """A zone an endpoint is meant for."""

    name: Annotated[str, At(1, required=True)] = ""


class ForNode(Model, name="io.k8s.api.discovery.v1.ForNode"):
    """A node an endpoint is meant for."""

    name: Annotated[str, At(1, required=True)] = ""


class EndpointHints(Model, name="io.k8s.api.discovery.v1.EndpointHints"):
    """Whom an endpoint is meant for."""

    forZones: Annotated[list[ForZone], At(1)] = []
    forNodes: Annotated[list[ForNode], At(2)] = []


class Endpoint(Model, name="io.k8s.api.discovery.v1.Endpoint"):
    """One backend of a service."""

    addresses: Annotated[list[str], At(1, required=True, list_type="set")] = []
    conditions: Annotated[EndpointConditions, At(2)] = default(EndpointConditions)
    hostname: Annotated[str | None, At(3)] = None
    targetRef: Annotated[ObjectReference | None, At(4)] = None
    deprecatedTopology: Annotated[dict[str, str], At(5)] = {}
    nodeName: Annotated[str | None, At(6)] = None
    zone: Annotated[str | None, At(7)] = None
    hints: Annotated[EndpointHints | None, At(8)] = None


class EndpointPort(Model, name="io.k8s.api.discovery.v1.EndpointPort", atomic=True):
    """A port of an endpoint."""

    name: Annotated[str | None, At(1)] = None
    protocol: Annotated[str | None, At(2, enum=("SCTP", "TCP", "UDP"))] = None
    port: Annotated[Int32 | None, At(3)] = None
    appProtocol: Annotated[str | None, At(4)] = None


@kind(plural="endpointslices", generation=True)
class EndpointSlice(Object, name="io.k8s.api.discovery.v1.EndpointSlice"):
    """Some of the backends of a service."""

    apiVersion: str = "discovery.k8s.io/v1"
    kind: str = "EndpointSlice"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    addressType: Annotated[str, At(4, required=True, enum=("FQDN", "IPv4", "IPv6"))] = ""
    endpoints: Annotated[list[Endpoint], At(2, always=True), NULL_IS_EMPTY] = []
    ports: Annotated[list[EndpointPort], At(3, always=True), NULL_IS_EMPTY] = []


class EndpointSliceList(Object, name="io.k8s.api.discovery.v1.EndpointSliceList"):
    """A list of EndpointSlice objects."""

    apiVersion: str = "discovery.k8s.io/v1"
    kind: str = "EndpointSliceList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[EndpointSlice], At(2, required=True, list_type="")] = []
