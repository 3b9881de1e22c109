"""Ingress: HTTP from outside to services."""

from typing import Annotated

from tiphys.api.core.references import TypedLocalObjectReference
from tiphys.api.declaration import At, Int32, Model, Object, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


class ServiceBackendPort(Model, name="io.k8s.api.networking.v1.ServiceBackendPort"):
    """The port of a service, by name or number."""

    name: Annotated[str, At(1)] = ""
    number: Annotated[Int32, At(2)] = 0


class IngressServiceBackend(Model, name="io.k8s.api.networking.v1.IngressServiceBackend"):
    """A service traffic is sent to."""

    name: Annotated[str, At(1, required=True)] = ""
    port: Annotated[ServiceBackendPort, At(2)] = default(ServiceBackendPort)


class IngressBackend(Model, name="io.k8s.api.networking.v1.IngressBackend"):
    """Where traffic is sent."""

    service: Annotated[IngressServiceBackend | None, At(4)] = None
    resource: Annotated[TypedLocalObjectReference | None, At(3)] = None


class HTTPIngressPath(Model, name="io.k8s.api.networking.v1.HTTPIngressPath"):
    """Where requests for a path are sent."""

    path: Annotated[str, At(1)] = ""
    pathType: Annotated[str | None, At(3, required=True, enum=("Exact", "ImplementationSpecific", "Prefix"))] = None
    backend: Annotated[IngressBackend, At(2, required=True)] = default(IngressBackend)


class HTTPIngressRuleValue(Model, name="io.k8s.api.networking.v1.HTTPIngressRuleValue"):
    """Paths and where their requests are sent."""

    paths: Annotated[list[HTTPIngressPath], At(1, required=True)] = []


class IngressRuleValue(Model, name="io.k8s.api.networking.v1.IngressRuleValue"):
    """What a rule does."""

    http: Annotated[HTTPIngressRuleValue | None, At(1)] = None


class IngressRule(IngressRuleValue, name="io.k8s.api.networking.v1.IngressRule", inlined=2):
    """What happens to requests for a host."""

    host: Annotated[str, At(1)] = ""


class IngressTLS(Model, name="io.k8s.api.networking.v1.IngressTLS"):
    """The certificate for some hosts."""

    hosts: Annotated[list[str], At(1)] = []
    secretName: Annotated[str, At(2)] = ""


class IngressSpec(Model, name="io.k8s.api.networking.v1.IngressSpec"):
    """Which requests are sent where."""

    ingressClassName: Annotated[str | None, At(4)] = None
    defaultBackend: Annotated[IngressBackend | None, At(1)] = None
    tls: Annotated[list[IngressTLS], At(2)] = []
    rules: Annotated[list[IngressRule], At(3)] = []


class IngressPortStatus(Model, name="io.k8s.api.networking.v1.IngressPortStatus"):
    """What became of one port of an ingress."""

    port: Annotated[Int32, At(1, required=True)] = 0
    protocol: Annotated[str, At(2, required=True, enum=("SCTP", "TCP", "UDP"))] = ""
    error: Annotated[str | None, At(3)] = None


class IngressLoadBalancerIngress(Model, name="io.k8s.api.networking.v1.IngressLoadBalancerIngress"):
    """An address of an ingress."""

    ip: Annotated[str, At(1)] = ""
    hostname: Annotated[str, At(2)] = ""
    ports: Annotated[list[IngressPortStatus], At(4)] = []


class IngressLoadBalancerStatus(Model, name="io.k8s.api.networking.v1.IngressLoadBalancerStatus"):
    """The addresses of an ingress."""

    ingress: Annotated[list[IngressLoadBalancerIngress], At(1)] = []


class IngressStatus(Model, name="io.k8s.api.networking.v1.IngressStatus"):
    """What became of an ingress."""

    loadBalancer: Annotated[IngressLoadBalancerStatus, At(1)] = default(IngressLoadBalancerStatus)


@kind(plural="ingresses", short_names=("ing",), generation=True, subresources=(SubresourceInfo("status"),))
class Ingress(Object, name="io.k8s.api.networking.v1.Ingress"):
    """Leads HTTP requests from outside to services, by host and path."""

    apiVersion: str = "networking.k8s.io/v1"
    kind: str = "Ingress"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[IngressSpec, At(2)] = default(IngressSpec)
    status: Annotated[IngressStatus, At(3)] = default(IngressStatus)


class IngressList(Object, name="io.k8s.api.networking.v1.IngressList"):
    """A list of Ingress objects."""

    apiVersion: str = "networking.k8s.io/v1"
    kind: str = "IngressList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[Ingress], At(2, required=True, list_type="")] = []
