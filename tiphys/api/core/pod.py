"""Pod: containers that share a network, volumes and a fate."""

from typing import Annotated

from tiphys.api.core.container import Container, EphemeralContainer, ResourceRequirements
from tiphys.api.core.podstatus import PodStatus
from tiphys.api.core.references import LocalObjectReference
from tiphys.api.core.scheduling import Affinity, Toleration, TopologySpreadConstraint
from tiphys.api.core.security import PodSecurityContext
from tiphys.api.core.volumes import Volume
from tiphys.api.declaration import At, Int32, Model, Object, Quantity, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


class HostAlias(Model, name="io.k8s.api.core.v1.HostAlias"):
    """A line of the pod's /etc/hosts."""

    ip: Annotated[str, At(1, required=True)] = ""
    hostnames: Annotated[list[str], At(2)] = []


class PodDNSConfigOption(Model, name="io.k8s.api.core.v1.PodDNSConfigOption"):
    """An option of the resolver."""

    name: Annotated[str, At(1)] = ""
    value: Annotated[str | None, At(2)] = None


class PodDNSConfig(Model, name="io.k8s.api.core.v1.PodDNSConfig"):
    """What is added to the resolver's configuration."""

    nameservers: Annotated[list[str], At(1)] = []
    searches: Annotated[list[str], At(2)] = []
    options: Annotated[list[PodDNSConfigOption], At(3)] = []


class PodOS(Model, name="io.k8s.api.core.v1.PodOS"):
    """The operating system the containers are made for."""

    name: Annotated[str, At(1, required=True)] = ""


class PodReadinessGate(Model, name="io.k8s.api.core.v1.PodReadinessGate"):
    """A condition that must be true before the pod counts as ready."""

    conditionType: Annotated[str, At(1, required=True)] = ""


class PodResourceClaim(Model, name="io.k8s.api.core.v1.PodResourceClaim"):
    """A resource claim the containers of the pod can use, by name."""

    name: Annotated[str, At(1, required=True)] = ""
    resourceClaimName: Annotated[str | None, At(3)] = None
    resourceClaimTemplateName: Annotated[str | None, At(4)] = None


class PodSchedulingGate(Model, name="io.k8s.api.core.v1.PodSchedulingGate"):
    """Holds the pod back from scheduling until it is removed."""

    name: Annotated[str, At(1, required=True)] = ""


class PodSchedulingGroup(Model, name="io.k8s.api.core.v1.PodSchedulingGroup"):
    """The group of pods this one is scheduled with."""

    podGroupName: Annotated[str | None, At(1)] = None


class PodSpec(Model, name="io.k8s.api.core.v1.PodSpec"):
    """What the pod is to be."""

    volumes: Annotated[
        list[Volume],
        At(1, "Storage the containers can mount.", keys=("name",), merge="name", patch="merge,retainKeys"),
    ] = []
    initContainers: Annotated[
        list[Container],
        At(
            20,
            "Containers that run to their end, one after the other, before the others start.",
            keys=("name",),
            merge="name",
        ),
    ] = []
    containers: Annotated[
        list[Container],
        At(2, "The containers of the pod; at least one.", required=True, keys=("name",), merge="name"),
    ] = []
    ephemeralContainers: Annotated[
        list[EphemeralContainer],
        At(34, "Containers added to the running pod.", keys=("name",), merge="name"),
    ] = []
    restartPolicy: Annotated[
        str,
        At(3, "When containers that ended are started again.", enum=("Always", "Never", "OnFailure")),
    ] = ""
    terminationGracePeriodSeconds: Annotated[
        int | None,
        At(4, "How long containers may take to stop before they are killed."),
    ] = None
    activeDeadlineSeconds: Annotated[int | None, At(5, "How long the pod may be active before it is failed.")] = None
    dnsPolicy: Annotated[
        str,
        At(6, "Where names are looked up.", enum=("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")),
    ] = ""
    nodeSelector: Annotated[
        dict[str, str],
        At(7, "Labels a node must have for the pod to run there.", atomic=True),
    ] = {}
    serviceAccountName: Annotated[str, At(8, "The service account whose identity the pod has.")] = ""
    serviceAccount: Annotated[str, At(9, "The old name of serviceAccountName.")] = ""
    automountServiceAccountToken: Annotated[
        bool | None,
        At(21, "Whether containers get a token of the service account."),
    ] = None
    nodeName: Annotated[str, At(10, "The node the pod is bound to; set by the scheduler.")] = ""
    hostNetwork: Annotated[bool, At(11, "Use the network of the node instead of one of its own.")] = False
    hostPID: Annotated[bool, At(12, "See the processes of the node.")] = False
    hostIPC: Annotated[bool, At(13, "Use the IPC of the node.")] = False
    shareProcessNamespace: Annotated[bool | None, At(27, "Let the containers see each other's processes.")] = None
    securityContext: Annotated[PodSecurityContext | None, At(14, "What all containers may do.")] = None
    imagePullSecrets: Annotated[
        list[LocalObjectReference],
        At(15, "Secrets with credentials for image registries.", keys=("name",), merge="name"),
    ] = []
    hostname: Annotated[str, At(16, "The host name; the pod's name if not given.")] = ""
    subdomain: Annotated[str, At(17, "The domain between host name and namespace.")] = ""
    affinity: Annotated[Affinity | None, At(18, "Where the pod needs or prefers to be.")] = None
    schedulerName: Annotated[str, At(19, "The scheduler that is to place the pod.")] = ""
    tolerations: Annotated[list[Toleration], At(22, "Taints the pod can stand.")] = []
    hostAliases: Annotated[list[HostAlias], At(23, "Lines for /etc/hosts.", keys=("ip",), merge="ip")] = []
    priorityClassName: Annotated[str, At(24, "How important the pod is, by name.")] = ""
    priority: Annotated[Int32 | None, At(25, "How important the pod is; follows from priorityClassName.")] = None
    dnsConfig: Annotated[PodDNSConfig | None, At(26)] = None
    readinessGates: Annotated[list[PodReadinessGate], At(28)] = []
    runtimeClassName: Annotated[str | None, At(29)] = None
    enableServiceLinks: Annotated[bool | None, At(30)] = None
    preemptionPolicy: Annotated[str | None, At(31, enum=("Never", "PreemptLowerPriority"))] = None
    overhead: Annotated[dict[str, Quantity], At(32)] = {}
    topologySpreadConstraints: Annotated[
        list[TopologySpreadConstraint],
        At(
            33,
            "How evenly pods like this one are spread.",
            keys=("topologyKey", "whenUnsatisfiable"),
            merge="topologyKey",
        ),
    ] = []
    setHostnameAsFQDN: Annotated[bool | None, At(35)] = None
    os: Annotated[PodOS | None, At(36)] = None
    hostUsers: Annotated[bool | None, At(37)] = None
    schedulingGates: Annotated[list[PodSchedulingGate], At(38, keys=("name",), merge="name")] = []
    resourceClaims: Annotated[
        list[PodResourceClaim],
        At(39, keys=("name",), merge="name", patch="merge,retainKeys"),
    ] = []
    resources: Annotated[ResourceRequirements | None, At(40, "What all containers together need and may use.")] = None
    hostnameOverride: Annotated[str | None, At(41)] = None
    schedulingGroup: Annotated[PodSchedulingGroup | None, At(43)] = None


@kind(
    plural="pods",
    short_names=("po",),
    categories=("all",),
    generation=True,
    subresources=(
        SubresourceInfo("attach", "PodAttachOptions", verbs=("create", "get")),
        SubresourceInfo("binding", "Binding", verbs=("create",)),
        SubresourceInfo("ephemeralcontainers"),
        SubresourceInfo("eviction", "Eviction", group="policy", verbs=("create",)),
        SubresourceInfo("exec", "PodExecOptions", verbs=("create", "get")),
        SubresourceInfo("log", verbs=("get",)),
        SubresourceInfo("portforward", "PodPortForwardOptions", verbs=("create", "get")),
        SubresourceInfo("proxy", "PodProxyOptions", verbs=("create", "delete", "get", "patch", "update")),
        SubresourceInfo("resize"),
        SubresourceInfo("status"),
    ),
)
class Pod(Object, name="io.k8s.api.core.v1.Pod"):
    """Containers that run together on one node, with one network address and shared volumes."""

    apiVersion: str = "v1"
    kind: str = "Pod"
    metadata: Annotated[ObjectMeta, At(1, "What every object carries.")] = default(ObjectMeta)
    spec: Annotated[PodSpec, At(2, "What the pod is to be.")] = default(PodSpec)
    status: Annotated[PodStatus, At(3, "What became of it.")] = default(PodStatus)


class PodList(Object, name="io.k8s.api.core.v1.PodList"):
    """A list of Pod objects."""

    apiVersion: str = "v1"
    kind: str = "PodList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[Pod], At(2, required=True, list_type="")] = []


class PodTemplateSpec(Model, name="io.k8s.api.core.v1.PodTemplateSpec"):
    """What pods made from a template are like."""

    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[PodSpec, At(2)] = default(PodSpec)
