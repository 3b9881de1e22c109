"""NetworkPolicy: who may talk to pods, and to whom they may talk."""

from typing import Annotated

from tiphys.api.declaration import At, Int32, IntOrString, Model, Object, alias, default
from tiphys.api.kinds import kind
from tiphys.api.meta import LabelSelector, ListMeta, ObjectMeta


class NetworkPolicyPort(Model, name="io.k8s.api.networking.v1.NetworkPolicyPort"):
    """A port, or a range of ports."""

    protocol: Annotated[str | None, At(1, enum=("SCTP", "TCP", "UDP"))] = None
    port: Annotated[IntOrString | None, At(2)] = None
    endPort: Annotated[Int32 | None, At(3)] = None


class IPBlock(Model, name="io.k8s.api.networking.v1.IPBlock"):
    """Addresses, without some of them."""

    cidr: Annotated[str, At(1, required=True)] = ""
    except_: Annotated[list[str], At(2), alias("except")] = []


class NetworkPolicyPeer(Model, name="io.k8s.api.networking.v1.NetworkPolicyPeer"):
    """Pods, namespaces or addresses."""

    podSelector: Annotated[LabelSelector | None, At(1)] = None
    namespaceSelector: Annotated[LabelSelector | None, At(2)] = None
    ipBlock: Annotated[IPBlock | None, At(3)] = None


class NetworkPolicyIngressRule(Model, name="io.k8s.api.networking.v1.NetworkPolicyIngressRule"):
    """Who may talk to the pods."""

    ports: Annotated[list[NetworkPolicyPort], At(1)] = []
    from_: Annotated[list[NetworkPolicyPeer], At(2), alias("from")] = []


class NetworkPolicyEgressRule(Model, name="io.k8s.api.networking.v1.NetworkPolicyEgressRule"):
    """To whom the pods may talk."""

    ports: Annotated[list[NetworkPolicyPort], At(1)] = []
    to: Annotated[list[NetworkPolicyPeer], At(2)] = []


class NetworkPolicySpec(Model, name="io.k8s.api.networking.v1.NetworkPolicySpec"):
    """Which pods a policy is about and what it allows."""

    podSelector: Annotated[LabelSelector, At(1, always=True)] = default(LabelSelector)
    ingress: Annotated[list[NetworkPolicyIngressRule], At(2)] = []
    egress: Annotated[list[NetworkPolicyEgressRule], At(3)] = []
    policyTypes: Annotated[list[str], At(4, enum=("Egress", "Ingress"))] = []


@kind(plural="networkpolicies", short_names=("netpol",), generation=True)
class NetworkPolicy(Object, name="io.k8s.api.networking.v1.NetworkPolicy"):
    """Allows traffic to and from some pods, and forbids all other."""

    apiVersion: str = "networking.k8s.io/v1"
    kind: str = "NetworkPolicy"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[NetworkPolicySpec, At(2)] = default(NetworkPolicySpec)


class NetworkPolicyList(Object, name="io.k8s.api.networking.v1.NetworkPolicyList"):
    """A list of NetworkPolicy objects."""

    apiVersion: str = "networking.k8s.io/v1"
    kind: str = "NetworkPolicyList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[NetworkPolicy], At(2, required=True, list_type="")] = []
