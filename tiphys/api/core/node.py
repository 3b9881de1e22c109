"""Node: a machine that runs pods."""

from typing import Annotated

from tiphys.api.core.scheduling import Taint
from tiphys.api.declaration import NULL_IS_EMPTY, At, Int32, Model, Object, Quantity, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


class ConfigMapNodeConfigSource(Model, name="io.k8s.api.core.v1.ConfigMapNodeConfigSource"):
    """No longer used."""

    namespace: Annotated[str, At(1, required=True)] = ""
    name: Annotated[str, At(2, required=True)] = ""
    uid: Annotated[str, At(3)] = ""
    resourceVersion: Annotated[str, At(4)] = ""
    kubeletConfigKey: Annotated[str, At(5, required=True)] = ""


class NodeConfigSource(Model, name="io.k8s.api.core.v1.NodeConfigSource"):
    """No longer used."""

    configMap: Annotated[ConfigMapNodeConfigSource | None, At(2)] = None


class NodeSpec(Model, name="io.k8s.api.core.v1.NodeSpec"):
    """What is decided about a node."""

    podCIDR: Annotated[str, At(1)] = ""
    podCIDRs: Annotated[list[str], At(7, list_type="set", patch="merge")] = []
    providerID: Annotated[str, At(3)] = ""
    unschedulable: Annotated[bool, At(4, "Whether new pods are kept away.")] = False
    taints: Annotated[list[Taint], At(5, "Taints that keep pods away.")] = []
    configSource: Annotated[NodeConfigSource | None, At(6)] = None
    externalID: Annotated[str, At(2)] = ""


class NodeCondition(Model, name="io.k8s.api.core.v1.NodeCondition"):
    """One aspect of a node's state."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    lastHeartbeatTime: Annotated[Time | None, At(3, always=True)] = None
    lastTransitionTime: Annotated[Time | None, At(4, always=True)] = None
    reason: Annotated[str, At(5)] = ""
    message: Annotated[str, At(6)] = ""


class NodeAddress(Model, name="io.k8s.api.core.v1.NodeAddress"):
    """An address of a node."""

    type: Annotated[str, At(1, required=True)] = ""
    address: Annotated[str, At(2, required=True)] = ""


class DaemonEndpoint(Model, name="io.k8s.api.core.v1.DaemonEndpoint"):
    """The port of a daemon."""

    Port: Annotated[Int32, At(1, required=True)] = 0


class NodeDaemonEndpoints(Model, name="io.k8s.api.core.v1.NodeDaemonEndpoints"):
    """The ports of a node's daemons."""

    kubeletEndpoint: Annotated[DaemonEndpoint, At(1)] = default(DaemonEndpoint)


class NodeSwapStatus(Model, name="io.k8s.api.core.v1.NodeSwapStatus"):
    """How much swap a node has."""

    capacity: Annotated[int | None, At(1)] = None


class NodeSystemInfo(Model, name="io.k8s.api.core.v1.NodeSystemInfo"):
    """What a node runs."""

    machineID: Annotated[str, At(1, required=True)] = ""
    systemUUID: Annotated[str, At(2, required=True)] = ""
    bootID: Annotated[str, At(3, required=True)] = ""
    kernelVersion: Annotated[str, At(4, required=True)] = ""
    osImage: Annotated[str, At(5, required=True)] = ""
    containerRuntimeVersion: Annotated[str, At(6, required=True)] = ""
    kubeletVersion: Annotated[str, At(7, required=True)] = ""
    kubeProxyVersion: Annotated[str, At(8, required=True)] = ""
    operatingSystem: Annotated[str, At(9, required=True)] = ""
    architecture: Annotated[str, At(10, required=True)] = ""
    swap: Annotated[NodeSwapStatus | None, At(11)] = None


class ContainerImage(Model, name="io.k8s.api.core.v1.ContainerImage"):
    """An image a node has."""

    names: Annotated[list[str], At(1, always=True), NULL_IS_EMPTY] = []
    sizeBytes: Annotated[int, At(2)] = 0


class AttachedVolume(Model, name="io.k8s.api.core.v1.AttachedVolume"):
    """A volume attached to a node."""

    name: Annotated[str, At(1, required=True)] = ""
    devicePath: Annotated[str, At(2, required=True)] = ""


class NodeConfigStatus(Model, name="io.k8s.api.core.v1.NodeConfigStatus"):
    """No longer used."""

    assigned: Annotated[NodeConfigSource | None, At(1)] = None
    active: Annotated[NodeConfigSource | None, At(2)] = None
    lastKnownGood: Annotated[NodeConfigSource | None, At(3)] = None
    error: Annotated[str, At(4)] = ""


class NodeRuntimeHandlerFeatures(Model, name="io.k8s.api.core.v1.NodeRuntimeHandlerFeatures"):
    """What a runtime handler can do."""

    recursiveReadOnlyMounts: Annotated[bool | None, At(1)] = None
    userNamespaces: Annotated[bool | None, At(2)] = None


class NodeRuntimeHandler(Model, name="io.k8s.api.core.v1.NodeRuntimeHandler"):
    """A way to run containers on a node."""

    name: Annotated[str, At(1, always=True)] = ""
    features: Annotated[NodeRuntimeHandlerFeatures | None, At(2)] = None


class NodeFeatures(Model, name="io.k8s.api.core.v1.NodeFeatures"):
    """What the container runtime of a node can do."""

    supplementalGroupsPolicy: Annotated[bool | None, At(1)] = None


class NodeStatus(Model, name="io.k8s.api.core.v1.NodeStatus"):
    """What a node has and how it is, as its agent reports it."""

    capacity: Annotated[dict[str, Quantity], At(1, "What the node has.")] = {}
    allocatable: Annotated[dict[str, Quantity], At(2, "What pods may use of it.")] = {}
    phase: Annotated[str, At(3, enum=("Pending", "Running", "Terminated"))] = ""
    conditions: Annotated[
        list[NodeCondition],
        At(4, "Aspects of the node's state.", keys=("type",), merge="type"),
    ] = []
    addresses: Annotated[list[NodeAddress], At(5, "The addresses of the node.", keys=("type",), merge="type")] = []
    daemonEndpoints: Annotated[NodeDaemonEndpoints, At(6)] = default(NodeDaemonEndpoints)
    nodeInfo: Annotated[NodeSystemInfo, At(7, "What the node runs.")] = default(NodeSystemInfo)
    images: Annotated[list[ContainerImage], At(8)] = []
    volumesInUse: Annotated[list[str], At(9)] = []
    volumesAttached: Annotated[list[AttachedVolume], At(10)] = []
    config: Annotated[NodeConfigStatus | None, At(11)] = None
    runtimeHandlers: Annotated[list[NodeRuntimeHandler], At(12)] = []
    features: Annotated[NodeFeatures | None, At(13)] = None
    declaredFeatures: Annotated[list[str], At(14)] = []


@kind(
    plural="nodes",
    short_names=("no",),
    namespaced=False,
    subresources=(
        SubresourceInfo("proxy", "NodeProxyOptions", verbs=("create", "delete", "get", "patch", "update")),
        SubresourceInfo("status"),
    ),
)
class Node(Object, name="io.k8s.api.core.v1.Node"):
    """A machine that runs pods."""

    apiVersion: str = "v1"
    kind: str = "Node"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[NodeSpec, At(2)] = default(NodeSpec)
    status: Annotated[NodeStatus, At(3)] = default(NodeStatus)


class NodeList(Object, name="io.k8s.api.core.v1.NodeList"):
    """A list of Node objects."""

    apiVersion: str = "v1"
    kind: str = "NodeList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[Node], At(2, required=True, list_type="")] = []
