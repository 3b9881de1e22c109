"""What policies say, with labels replaced by addresses.  Pure.

What must stay true: a policy sees the pods of its own namespace only, unless a namespace selector says otherwise; pods
on the node's network are nobody's peers and under no policy; a pod that has ended has no address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from tiphys.api.core.pod import Pod
from tiphys.api.networking.networkpolicy import IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort
from tiphys.api.selectors import LabelSelectorExpr, SelectorError, from_label_selector

INGRESS, EGRESS = "Ingress", "Egress"
PortKey = tuple[str, str, int]
"""(protocol, name, number) of a container's port."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What policies look at in a pod."""

    uid: str
    namespace: str
    labels: Mapping[str, str]
    addresses: tuple[str, ...]
    ports: tuple[PortKey, ...] = ()

    def number_of(self, name: str, protocol: str) -> int | None:
        """The container port of that name."""
        return next((number for kind, one, number in self.ports if (kind, one) == (protocol, name)), None)


@dataclass(frozen=True, slots=True)
class Selector:
    """Pods by label, in one namespace or in those that `namespaces` selects."""

    namespace: str
    namespaces: LabelSelectorExpr | None
    pods: LabelSelectorExpr

    def key(self) -> str:
        """Two selectors of one key select the same pods."""
        where = f"{self.namespace}/" if self.namespaces is None else f"{{{_text(self.namespaces)}}}/"
        return where + _text(self.pods)


def _text(selector: LabelSelectorExpr) -> str:
    return "-" if selector.nothing else str(selector)


@dataclass(frozen=True, slots=True)
class Block:
    """Addresses without some of them, as networks that do not overlap."""

    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PortRange:
    """`name` instead of numbers; first 0: every port of the protocol."""

    protocol: str
    first: int = 0
    last: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows; `peers` None is everybody, `ports` () is every port of every protocol."""

    peers: tuple[Selector | Block, ...] | None
    ports: tuple[PortRange, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A NetworkPolicy as read once."""

    key: str
    about: Selector
    ingress: tuple[Rule, ...] | None  # None: says nothing about this direction
    egress: tuple[Rule, ...] | None

    def rules(self, direction: str) -> tuple[Rule, ...] | None:
        return self.ingress if direction == INGRESS else self.egress


@dataclass
class Cluster:
    """Pods and namespaces as policies see them; what a selector has found is kept, and follows each change."""

    pods: dict[str, PodFacts] = field(default_factory=dict)
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _found: dict[str, tuple[Selector, dict[str, PodFacts]]] = field(default_factory=dict)

    def put(self, pod: PodFacts) -> None:
        """A pod is new or another."""
        self.pods[pod.uid] = pod
        for selector, found in self._found.values():
            if self.is_selected(pod, selector):
                found[pod.uid] = pod
            else:
                found.pop(pod.uid, None)

    def drop(self, uid: str) -> None:
        """A pod is gone."""
        if self.pods.pop(uid, None) is not None:
            for _, found in self._found.values():
                found.pop(uid, None)

    def name(self, namespace: str, labels: Mapping[str, str] | None) -> None:
        """A namespace is new, another, or gone (None)."""
        self._found.clear()
        if labels is None:
            self.namespaces.pop(namespace, None)
        else:
            self.namespaces[namespace] = labels

    def select(self, selector: Selector) -> list[PodFacts]:
        """The pods of a selector."""
        key = selector.key()
        if key not in self._found:
            found = {pod.uid: pod for pod in self.pods.values() if self.is_selected(pod, selector)}
            self._found[key] = (selector, found)
        return list(self._found[key][1].values())

    def forget_all_but(self, keys: Set[str]) -> None:
        """Selectors that no policy uses any more."""
        for key in self._found.keys() - keys:
            del self._found[key]

    def is_selected(self, pod: PodFacts, selector: Selector) -> bool:
        if selector.namespaces is None:
            if pod.namespace != selector.namespace:
                return False
        elif pod.namespace not in self.namespaces or not selector.namespaces.matches(self.namespaces[pod.namespace]):
            return False
        return selector.pods.matches(pod.labels)


def facts_of(pod: Pod, address: str = "") -> PodFacts | None:
    """None for a pod that policies do not see.  `address`: known to this node before the API has it."""
    if pod.spec.hostNetwork or pod.status.phase in ("Succeeded", "Failed"):
        return None
    found = [one.ip for one in pod.status.podIPs] or ([pod.status.podIP] if pod.status.podIP else [])
    addresses = tuple(dict.fromkeys([*([address] if address else []), *found]))
    ports = tuple(
        (port.protocol or "TCP", port.name, port.containerPort)
        for container in [*pod.spec.initContainers, *pod.spec.containers]
        for port in container.ports
        if port.name
    )
    meta = pod.metadata
    return PodFacts(meta.uid, meta.namespace, meta.labels, addresses, ports)


def read_policy(policy: NetworkPolicy) -> Policy:
    """What cannot be read selects nothing: a rule that is not understood allows nobody."""
    namespace, spec = policy.metadata.namespace, policy.spec
    types = spec.policyTypes or [INGRESS, *([EGRESS] if spec.egress else [])]
    ingress = tuple(_rule(namespace, one.from_, one.ports) for one in spec.ingress)
    egress = tuple(_rule(namespace, one.to, one.ports) for one in spec.egress)
    about = Selector(namespace, None, _labels(spec.podSelector))
    return Policy(
        f"{namespace}/{policy.metadata.name}",
        about,
        ingress if INGRESS in types else None,
        egress if EGRESS in types else None,
    )


def _labels(selector: object) -> LabelSelectorExpr:
    try:
        return from_label_selector(selector)  # type: ignore[arg-type]
    except SelectorError:
        return LabelSelectorExpr(nothing=True)


def _rule(namespace: str, peers: Sequence[NetworkPolicyPeer], ports: Sequence[NetworkPolicyPort]) -> Rule:
    found = tuple(_peer(namespace, one) for one in peers) if peers else None
    return Rule(found, tuple(_port(one) for one in ports))


def _peer(namespace: str, peer: NetworkPolicyPeer) -> Selector | Block:
    if peer.ipBlock is not None:
        return Block(_networks(peer.ipBlock))
    pods = _labels(peer.podSelector) if peer.podSelector is not None else LabelSelectorExpr()
    spaces = _labels(peer.namespaceSelector) if peer.namespaceSelector is not None else None
    return Selector(namespace if spaces is None else "", spaces, pods)


def _port(port: NetworkPolicyPort) -> PortRange:
    protocol = port.protocol or "TCP"
    if port.port is None:
        return PortRange(protocol)
    if isinstance(port.port, str):
        return PortRange(protocol, name=port.port)
    return PortRange(protocol, port.port, port.endPort or port.port)


def _networks(block: IPBlock) -> tuple[str, ...]:
    """The block without its exceptions; () for what is no network."""
    try:
        whole = ipaddress.ip_network(block.cidr, strict=False)
        left: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = [whole]
        for text in block.except_:
            hole = ipaddress.ip_network(text, strict=False)
            left = [piece for one in left for piece in _without(one, hole)]
    except ValueError:
        return ()
    return tuple(str(one) for one in ipaddress.collapse_addresses(sorted(left)))  # type: ignore[type-var]


def _without(
    one: ipaddress.IPv4Network | ipaddress.IPv6Network, hole: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    if one.version != hole.version or not one.overlaps(hole):
        return [one]
    if one.subnet_of(hole):  # type: ignore[arg-type]
        return []
    return one.address_exclude(hole)  # type: ignore[arg-type]
