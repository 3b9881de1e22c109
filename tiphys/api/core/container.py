"""Containers of a pod: image, command, ports, mounts, resources."""

from typing import Annotated

from tiphys.api.core.env import EnvFromSource, EnvVar
from tiphys.api.core.probes import Lifecycle, Probe
from tiphys.api.core.security import SecurityContext
from tiphys.api.declaration import At, Int32, Model, Quantity, default


class ContainerPort(Model, name="io.k8s.api.core.v1.ContainerPort"):
    """A port a container listens on."""

    name: Annotated[str, At(1, "A name services can use for the port.")] = ""
    hostPort: Annotated[Int32, At(2, "The port of the node that leads to it.")] = 0
    containerPort: Annotated[Int32, At(3, "The port inside the pod, 1 to 65535.", required=True)] = 0
    protocol: Annotated[
        str,
        At(4, "UDP, TCP or SCTP. TCP if not given.", default="TCP", enum=("SCTP", "TCP", "UDP")),
    ] = ""
    hostIP: Annotated[str, At(5, "The address of the node that is bound.")] = ""


class VolumeMount(Model, name="io.k8s.api.core.v1.VolumeMount"):
    """A volume inside a container."""

    name: Annotated[str, At(1, "The volume.", required=True)] = ""
    readOnly: Annotated[bool, At(2, "Whether it cannot be written.")] = False
    recursiveReadOnly: Annotated[str | None, At(7)] = None
    mountPath: Annotated[str, At(3, "Where it appears in the container.", required=True)] = ""
    subPath: Annotated[str, At(4, "The path inside the volume that is mounted.")] = ""
    mountPropagation: Annotated[str | None, At(5, enum=("Bidirectional", "HostToContainer", "None"))] = None
    subPathExpr: Annotated[str, At(6)] = ""


class VolumeDevice(Model, name="io.k8s.api.core.v1.VolumeDevice"):
    """A raw block device inside a container."""

    name: Annotated[str, At(1, required=True)] = ""
    devicePath: Annotated[str, At(2, required=True)] = ""


class ResourceClaim(Model, name="io.k8s.api.core.v1.ResourceClaim"):
    """Names an entry of the pod's resource claims that a container uses."""

    name: Annotated[str, At(1, required=True)] = ""
    request: Annotated[str, At(2)] = ""


class ResourceRequirements(Model, name="io.k8s.api.core.v1.ResourceRequirements"):
    """What a container needs at least and may use at most."""

    limits: Annotated[dict[str, Quantity], At(1, "What the container may use at most.")] = {}
    requests: Annotated[dict[str, Quantity], At(2, "What is set aside for the container.")] = {}
    claims: Annotated[list[ResourceClaim], At(3, keys=("name",))] = []


class ContainerResizePolicy(Model, name="io.k8s.api.core.v1.ContainerResizePolicy"):
    """Whether a container is restarted when a resource is resized."""

    resourceName: Annotated[str, At(1, required=True)] = ""
    restartPolicy: Annotated[str, At(2, required=True)] = ""


class ContainerRestartRuleOnExitCodes(Model, name="io.k8s.api.core.v1.ContainerRestartRuleOnExitCodes"):
    """Which exit codes a restart rule is about."""

    operator: Annotated[str, At(1, required=True, always=False)] = ""
    values: Annotated[list[Int32], At(2, list_type="set")] = []


class ContainerRestartRule(Model, name="io.k8s.api.core.v1.ContainerRestartRule"):
    """What to do when a container exits in a certain way."""

    action: Annotated[str, At(1, required=True, always=False)] = ""
    exitCodes: Annotated[ContainerRestartRuleOnExitCodes | None, At(2)] = None


class Container(Model, name="io.k8s.api.core.v1.Container"):
    """One program of a pod, with its image."""

    name: Annotated[str, At(1, "The name, unique in the pod.", required=True)] = ""
    image: Annotated[str, At(2, "The image, by tag or digest.")] = ""
    command: Annotated[
        list[str],
        At(3, "What to run instead of the image's entrypoint; $(NAME) stands for a variable."),
    ] = []
    args: Annotated[list[str], At(4, "Arguments instead of the image's own.")] = []
    workingDir: Annotated[str, At(5, "The directory to run in.")] = ""
    ports: Annotated[
        list[ContainerPort],
        At(
            6,
            "Ports the container listens on; for information, and for node ports.",
            keys=("containerPort", "protocol"),
            merge="containerPort",
        ),
    ] = []
    envFrom: Annotated[list[EnvFromSource], At(19, "Sources of many variables.")] = []
    env: Annotated[list[EnvVar], At(7, "Environment variables.", keys=("name",), merge="name")] = []
    resources: Annotated[
        ResourceRequirements,
        At(8, "What the container needs at least and may use at most."),
    ] = default(ResourceRequirements)
    resizePolicy: Annotated[list[ContainerResizePolicy], At(23)] = []
    restartPolicy: Annotated[
        str | None,
        At(24, "Always makes an init container a sidecar that keeps running."),
    ] = None
    restartPolicyRules: Annotated[list[ContainerRestartRule], At(25)] = []
    volumeMounts: Annotated[
        list[VolumeMount],
        At(9, "Volumes inside the container.", keys=("mountPath",), merge="mountPath"),
    ] = []
    volumeDevices: Annotated[list[VolumeDevice], At(21, keys=("devicePath",), merge="devicePath")] = []
    livenessProbe: Annotated[Probe | None, At(10, "Restarts the container when it fails.")] = None
    readinessProbe: Annotated[Probe | None, At(11, "Takes the pod out of its services while it fails.")] = None
    startupProbe: Annotated[Probe | None, At(22, "Holds the other probes back until it succeeds.")] = None
    lifecycle: Annotated[Lifecycle | None, At(12, "What happens after the start and before the stop.")] = None
    terminationMessagePath: Annotated[
        str,
        At(13, "The file whose text becomes the message of how the container ended."),
    ] = ""
    terminationMessagePolicy: Annotated[
        str,
        At(20, "Whether the end of the log stands in for an empty message.", enum=("FallbackToLogsOnError", "File")),
    ] = ""
    imagePullPolicy: Annotated[
        str,
        At(
            14,
            "When the image is pulled. Always if the tag is latest, otherwise IfNotPresent.",
            enum=("Always", "IfNotPresent", "Never"),
        ),
    ] = ""
    securityContext: Annotated[SecurityContext | None, At(15, "What the container may do.")] = None
    stdin: Annotated[bool, At(16, "Keep standard input open.")] = False
    stdinOnce: Annotated[bool, At(17)] = False
    tty: Annotated[bool, At(18, "Give the container a terminal.")] = False


class EphemeralContainerCommon(Model, name="io.k8s.api.core.v1.EphemeralContainerCommon"):
    """The fields an ephemeral container shares with every other."""

    name: Annotated[str, At(1, required=True)] = ""
    image: Annotated[str, At(2)] = ""
    command: Annotated[list[str], At(3)] = []
    args: Annotated[list[str], At(4)] = []
    workingDir: Annotated[str, At(5)] = ""
    ports: Annotated[list[ContainerPort], At(6, keys=("containerPort", "protocol"), merge="containerPort")] = []
    envFrom: Annotated[list[EnvFromSource], At(19)] = []
    env: Annotated[list[EnvVar], At(7, keys=("name",), merge="name")] = []
    resources: Annotated[ResourceRequirements, At(8)] = default(ResourceRequirements)
    resizePolicy: Annotated[list[ContainerResizePolicy], At(23)] = []
    restartPolicy: Annotated[str | None, At(24)] = None
    restartPolicyRules: Annotated[list[ContainerRestartRule], At(25)] = []
    volumeMounts: Annotated[list[VolumeMount], At(9, keys=("mountPath",), merge="mountPath")] = []
    volumeDevices: Annotated[list[VolumeDevice], At(21, keys=("devicePath",), merge="devicePath")] = []
    livenessProbe: Annotated[Probe | None, At(10)] = None
    readinessProbe: Annotated[Probe | None, At(11)] = None
    startupProbe: Annotated[Probe | None, At(22)] = None
    lifecycle: Annotated[Lifecycle | None, At(12)] = None
    terminationMessagePath: Annotated[str, At(13)] = ""
    terminationMessagePolicy: Annotated[str, At(20, enum=("FallbackToLogsOnError", "File"))] = ""
    imagePullPolicy: Annotated[str, At(14, enum=("Always", "IfNotPresent", "Never"))] = ""
    securityContext: Annotated[SecurityContext | None, At(15)] = None
    stdin: Annotated[bool, At(16)] = False
    stdinOnce: Annotated[bool, At(17)] = False
    tty: Annotated[bool, At(18)] = False


class EphemeralContainer(EphemeralContainerCommon, name="io.k8s.api.core.v1.EphemeralContainer", inlined=1):
    """A container added to a running pod, to look into it."""

    targetContainerName: Annotated[str, At(2)] = ""
