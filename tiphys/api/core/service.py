"""Service: one address for a set of pods."""

from typing import Annotated

from tiphys.api.declaration import At, Int32, IntOrString, Model, Object, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import Condition, ListMeta, ObjectMeta


class ServicePort(Model, name="io.k8s.api.core.v1.ServicePort"):
    """A port of a service and where it leads."""

    name: Annotated[str, At(1, "The name of the port; needed where there are several.")] = ""
    protocol: Annotated[
        str,
        At(2, "UDP, TCP or SCTP. TCP if not given.", default="TCP", enum=("SCTP", "TCP", "UDP")),
    ] = ""
    appProtocol: Annotated[str | None, At(6)] = None
    port: Annotated[Int32, At(3, "The port of the service.", required=True)] = 0
    targetPort: Annotated[
        IntOrString,
        At(4, "The port of the pods, by number or name; the service's port if not given."),
    ] = 0
    nodePort: Annotated[Int32, At(5, "The port of every node that leads to the service.")] = 0


class ClientIPConfig(Model, name="io.k8s.api.core.v1.ClientIPConfig"):
    """How long a client stays with its pod."""

    timeoutSeconds: Annotated[Int32 | None, At(1)] = None


class SessionAffinityConfig(Model, name="io.k8s.api.core.v1.SessionAffinityConfig"):
    """How clients stay with their pods."""

    clientIP: Annotated[ClientIPConfig | None, At(1)] = None


class PortStatus(Model, name="io.k8s.api.core.v1.PortStatus"):
    """What became of one port of a load balancer."""

    port: Annotated[Int32, At(1, required=True)] = 0
    protocol: Annotated[str, At(2, required=True, enum=("SCTP", "TCP", "UDP"))] = ""
    error: Annotated[str | None, At(3)] = None


class LoadBalancerIngress(Model, name="io.k8s.api.core.v1.LoadBalancerIngress"):
    """An address of a load balancer."""

    ip: Annotated[str, At(1)] = ""
    hostname: Annotated[str, At(2)] = ""
    ipMode: Annotated[str | None, At(3)] = None
    ports: Annotated[list[PortStatus], At(4)] = []


class LoadBalancerStatus(Model, name="io.k8s.api.core.v1.LoadBalancerStatus"):
    """The addresses of a load balancer."""

    ingress: Annotated[list[LoadBalancerIngress], At(1)] = []


class ServiceSpec(Model, name="io.k8s.api.core.v1.ServiceSpec"):
    """How a service can be reached and what is behind it."""

    ports: Annotated[
        list[ServicePort],
        At(1, "The ports of the service.", keys=("port", "protocol"), merge="port"),
    ] = []
    selector: Annotated[
        dict[str, str],
        At(2, "Labels of the pods behind the service; without it, somebody else keeps its endpoints.", atomic=True),
    ] = {}
    clusterIP: Annotated[str, At(3, "Its address inside the cluster; None for a headless service.")] = ""
    clusterIPs: Annotated[list[str], At(18, "Its addresses, the first of which is clusterIP.")] = []
    type: Annotated[
        str,
        At(
            4,
            "How it can be reached: ClusterIP, NodePort, LoadBalancer or ExternalName.",
            enum=("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"),
        ),
    ] = ""
    externalIPs: Annotated[list[str], At(5, "Other addresses nodes accept its traffic on.")] = []
    sessionAffinity: Annotated[str, At(7, "ClientIP keeps a client with its pod.", enum=("ClientIP", "None"))] = ""
    loadBalancerIP: Annotated[str, At(8)] = ""
    loadBalancerSourceRanges: Annotated[list[str], At(9)] = []
    externalName: Annotated[str, At(10, "The name an ExternalName service stands for.")] = ""
    externalTrafficPolicy: Annotated[
        str,
        At(11, "Local keeps traffic from outside on the node it arrived at.", enum=("Cluster", "Local")),
    ] = ""
    healthCheckNodePort: Annotated[Int32, At(12)] = 0
    publishNotReadyAddresses: Annotated[bool, At(13)] = False
    sessionAffinityConfig: Annotated[SessionAffinityConfig | None, At(14)] = None
    ipFamilies: Annotated[list[str], At(19, enum=("", "IPv4", "IPv6"))] = []
    ipFamilyPolicy: Annotated[str | None, At(17, enum=("PreferDualStack", "RequireDualStack", "SingleStack"))] = None
    allocateLoadBalancerNodePorts: Annotated[bool | None, At(20)] = None
    loadBalancerClass: Annotated[str | None, At(21)] = None
    internalTrafficPolicy: Annotated[
        str | None,
        At(22, "Local keeps traffic from pods on their node.", enum=("Cluster", "Local")),
    ] = None
    trafficDistribution: Annotated[str | None, At(23)] = None


class ServiceStatus(Model, name="io.k8s.api.core.v1.ServiceStatus"):
    """What became of a service."""

    loadBalancer: Annotated[LoadBalancerStatus, At(1)] = default(LoadBalancerStatus)
    conditions: Annotated[list[Condition], At(2, keys=("type",), merge="type")] = []


@kind(
    plural="services",
    short_names=("svc",),
    categories=("all",),
    subresources=(
        SubresourceInfo("proxy", "ServiceProxyOptions", verbs=("create", "delete", "get", "patch", "update")),
        SubresourceInfo("status"),
    ),
)
class Service(Object, name="io.k8s.api.core.v1.Service"):
    """One stable address for the pods a selector finds."""

    apiVersion: str = "v1"
    kind: str = "Service"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[ServiceSpec, At(2)] = default(ServiceSpec)
    status: Annotated[ServiceStatus, At(3)] = default(ServiceStatus)


class ServiceList(Object, name="io.k8s.api.core.v1.ServiceList"):
    """A list of Service objects."""

    apiVersion: str = "v1"
    kind: str = "ServiceList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[Service], At(2, required=True, list_type="")] = []
