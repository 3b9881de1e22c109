"""What became of a pod: phase, conditions, and the state of every container."""

from typing import Annotated

from tiphys.api.core.container import ResourceRequirements
from tiphys.api.core.signals import SIGNALS
from tiphys.api.declaration import At, Int32, Model, Quantity, Time, default


class PodCondition(Model, name="io.k8s.api.core.v1.PodCondition"):
    """One aspect of a pod's state."""

    type: Annotated[str, At(1, required=True)] = ""
    observedGeneration: Annotated[int, At(7)] = 0
    status: Annotated[str, At(2, required=True)] = ""
    lastProbeTime: Annotated[Time | None, At(3, always=True)] = None
    lastTransitionTime: Annotated[Time | None, At(4, always=True)] = None
    reason: Annotated[str, At(5)] = ""
    message: Annotated[str, At(6)] = ""


class HostIP(Model, name="io.k8s.api.core.v1.HostIP"):
    """An address of the pod's node."""

    ip: Annotated[str, At(1, required=True)] = ""


class PodIP(Model, name="io.k8s.api.core.v1.PodIP"):
    """An address of the pod."""

    ip: Annotated[str, At(1, required=True)] = ""


class ContainerStateWaiting(Model, name="io.k8s.api.core.v1.ContainerStateWaiting"):
    """Why a container does not run yet."""

    reason: Annotated[str, At(1)] = ""
    message: Annotated[str, At(2)] = ""


class ContainerStateRunning(Model, name="io.k8s.api.core.v1.ContainerStateRunning"):
    """A container that runs."""

    startedAt: Annotated[Time | None, At(1, always=True)] = None


class ContainerStateTerminated(Model, name="io.k8s.api.core.v1.ContainerStateTerminated"):
    """How a container ended."""

    exitCode: Annotated[Int32, At(1, required=True)] = 0
    signal: Annotated[Int32, At(2)] = 0
    reason: Annotated[str, At(3)] = ""
    message: Annotated[str, At(4)] = ""
    startedAt: Annotated[Time | None, At(5, always=True)] = None
    finishedAt: Annotated[Time | None, At(6, always=True)] = None
    containerID: Annotated[str, At(7)] = ""


class ContainerState(Model, name="io.k8s.api.core.v1.ContainerState"):
    """Waiting, running or terminated; waiting if nothing is said."""

    waiting: Annotated[ContainerStateWaiting | None, At(1)] = None
    running: Annotated[ContainerStateRunning | None, At(2)] = None
    terminated: Annotated[ContainerStateTerminated | None, At(3)] = None


class ImageVolumeStatus(Model, name="io.k8s.api.core.v1.ImageVolumeStatus"):
    """Which image a volume was made from."""

    imageRef: Annotated[str, At(1, required=True, always=False)] = ""


class VolumeStatus(Model, name="io.k8s.api.core.v1.VolumeStatus"):
    """What is known of a mounted volume."""

    image: Annotated[ImageVolumeStatus | None, At(1)] = None


class VolumeMountStatus(Model, name="io.k8s.api.core.v1.VolumeMountStatus"):
    """How a volume was really mounted."""

    name: Annotated[str, At(1, required=True)] = ""
    mountPath: Annotated[str, At(2, required=True)] = ""
    readOnly: Annotated[bool, At(3)] = False
    recursiveReadOnly: Annotated[str | None, At(4)] = None
    volumeStatus: Annotated[VolumeStatus | None, At(5)] = None


class LinuxContainerUser(Model, name="io.k8s.api.core.v1.LinuxContainerUser"):
    """The user and groups of a container's first process."""

    uid: Annotated[int, At(1, required=True)] = 0
    gid: Annotated[int, At(2, required=True)] = 0
    supplementalGroups: Annotated[list[int], At(3)] = []


class ContainerUser(Model, name="io.k8s.api.core.v1.ContainerUser"):
    """Who a container runs as."""

    linux: Annotated[LinuxContainerUser | None, At(1)] = None


class ResourceHealth(Model, name="io.k8s.api.core.v1.ResourceHealth"):
    """Whether a device is well."""

    resourceID: Annotated[str, At(1, required=True)] = ""
    health: Annotated[str, At(2)] = ""
    message: Annotated[str | None, At(6)] = None


class ResourceStatus(Model, name="io.k8s.api.core.v1.ResourceStatus"):
    """The devices of a container and how they are."""

    name: Annotated[str, At(1, required=True)] = ""
    resources: Annotated[list[ResourceHealth], At(2, keys=("resourceID",))] = []


class ContainerStatus(Model, name="io.k8s.api.core.v1.ContainerStatus"):
    """What became of one container."""

    name: Annotated[str, At(1, required=True)] = ""
    state: Annotated[ContainerState, At(2)] = default(ContainerState)
    lastState: Annotated[ContainerState, At(3)] = default(ContainerState)
    ready: Annotated[bool, At(4, required=True)] = False
    restartCount: Annotated[Int32, At(5, required=True)] = 0
    image: Annotated[str, At(6, required=True)] = ""
    imageID: Annotated[str, At(7, required=True)] = ""
    containerID: Annotated[str, At(8)] = ""
    started: Annotated[bool | None, At(9)] = None
    allocatedResources: Annotated[dict[str, Quantity], At(10)] = {}
    resources: Annotated[ResourceRequirements | None, At(11)] = None
    volumeMounts: Annotated[list[VolumeMountStatus], At(12, keys=("mountPath",), merge="mountPath")] = []
    user: Annotated[ContainerUser | None, At(13)] = None
    allocatedResourcesStatus: Annotated[list[ResourceStatus], At(14, keys=("name",), merge="name")] = []
    stopSignal: Annotated[str | None, At(15, enum=SIGNALS)] = None


class PodResourceClaimStatus(Model, name="io.k8s.api.core.v1.PodResourceClaimStatus"):
    """The claim made for an entry of the pod's resource claims."""

    name: Annotated[str, At(1, required=True)] = ""
    resourceClaimName: Annotated[str | None, At(2)] = None


class ContainerExtendedResourceRequest(Model, name="io.k8s.api.core.v1.ContainerExtendedResourceRequest"):
    """Which device request stands for a container's extended resource."""

    containerName: Annotated[str, At(1, required=True)] = ""
    resourceName: Annotated[str, At(2, required=True)] = ""
    requestName: Annotated[str, At(3, required=True)] = ""


class PodExtendedResourceClaimStatus(Model, name="io.k8s.api.core.v1.PodExtendedResourceClaimStatus"):
    """The claim that stands for the pod's extended resources."""

    requestMappings: Annotated[list[ContainerExtendedResourceRequest], At(1, required=True)] = []
    resourceClaimName: Annotated[str, At(2, required=True)] = ""


class NodeAllocatableResourceClaimStatus(Model, name="io.k8s.api.core.v1.NodeAllocatableResourceClaimStatus"):
    """What a resource claim takes of the node's allocatable resources."""

    resourceClaimName: Annotated[str, At(1, required=True)] = ""
    containers: Annotated[list[str], At(2, list_type="set")] = []
    resources: Annotated[dict[str, Quantity], At(3, required=True)] = {}


class PodStatus(Model, name="io.k8s.api.core.v1.PodStatus"):
    """What became of the pod, as its node reports it."""

    observedGeneration: Annotated[int, At(17)] = 0
    phase: Annotated[
        str,
        At(
            1,
            "Where the pod is in its life, in one word.",
            enum=("Failed", "Pending", "Running", "Succeeded", "Unknown"),
        ),
    ] = ""
    conditions: Annotated[list[PodCondition], At(2, "Aspects of the pod's state.", keys=("type",), merge="type")] = []
    message: Annotated[str, At(3)] = ""
    reason: Annotated[str, At(4)] = ""
    nominatedNodeName: Annotated[str, At(11)] = ""
    hostIP: Annotated[str, At(5, "The address of the pod's node.")] = ""
    hostIPs: Annotated[list[HostIP], At(16, merge="ip")] = []
    podIP: Annotated[str, At(6, "The address of the pod.")] = ""
    podIPs: Annotated[list[PodIP], At(12, keys=("ip",), merge="ip")] = []
    startTime: Annotated[Time | None, At(7, "When the node first saw the pod.")] = None
    initContainerStatuses: Annotated[list[ContainerStatus], At(10, "What became of each init container.")] = []
    containerStatuses: Annotated[list[ContainerStatus], At(8, "What became of each container.")] = []
    qosClass: Annotated[
        str,
        At(
            9,
            "Guaranteed, Burstable or BestEffort, from requests and limits.",
            enum=("BestEffort", "Burstable", "Guaranteed"),
        ),
    ] = ""
    ephemeralContainerStatuses: Annotated[list[ContainerStatus], At(13)] = []
    resize: Annotated[str, At(14)] = ""
    resourceClaimStatuses: Annotated[
        list[PodResourceClaimStatus],
        At(15, keys=("name",), merge="name", patch="merge,retainKeys"),
    ] = []
    extendedResourceClaimStatus: Annotated[PodExtendedResourceClaimStatus | None, At(18)] = None
    allocatedResources: Annotated[dict[str, Quantity], At(19)] = {}
    resources: Annotated[ResourceRequirements | None, At(20)] = None
    nodeAllocatableResourceClaimStatuses: Annotated[list[NodeAllocatableResourceClaimStatus], At(21)] = []
