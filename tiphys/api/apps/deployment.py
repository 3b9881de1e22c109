"""Deployment: a ReplicaSet kept up to date by rolling updates."""

from typing import Annotated

from tiphys.api.core.pod import PodTemplateSpec
from tiphys.api.declaration import At, Int32, IntOrString, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import LabelSelector, ListMeta, ObjectMeta


class RollingUpdateDeployment(Model, name="io.k8s.api.apps.v1.RollingUpdateDeployment"):
    """How many pods may be missing and how many may be too many while pods are replaced."""

    maxUnavailable: Annotated[
        IntOrString | None,
        At(1, "How many pods may be missing, as a number or a percentage. 25% if not given."),
    ] = None
    maxSurge: Annotated[
        IntOrString | None,
        At(2, "How many pods there may be too many, as a number or a percentage. 25% if not given."),
    ] = None


class DeploymentStrategy(Model, name="io.k8s.api.apps.v1.DeploymentStrategy", retain_keys=True):
    """How old pods are replaced by new ones."""

    type: Annotated[
        str,
        At(
            1, "RollingUpdate replaces pods step by step, Recreate stops all first.", enum=("Recreate", "RollingUpdate")
        ),
    ] = ""
    rollingUpdate: Annotated[RollingUpdateDeployment | None, At(2, "The steps, for RollingUpdate.")] = None


class DeploymentSpec(Model, name="io.k8s.api.apps.v1.DeploymentSpec"):
    """What a deployment is to be."""

    replicas: Annotated[Int32 | None, At(1, "How many pods are wanted. 1 if not given.")] = None
    selector: Annotated[
        LabelSelector | None,
        At(2, "Which pods are its own; cannot be changed.", required=True),
    ] = None
    template: Annotated[PodTemplateSpec, At(3, "What its pods are like.", required=True)] = default(PodTemplateSpec)
    strategy: Annotated[
        DeploymentStrategy,
        At(4, "How old pods are replaced by new ones."),
    ] = default(DeploymentStrategy)
    minReadySeconds: Annotated[Int32, At(5, "How long a pod must be ready to count as available.")] = 0
    revisionHistoryLimit: Annotated[
        Int32 | None,
        At(6, "How many old replica sets are kept. 10 if not given."),
    ] = None
    paused: Annotated[bool, At(7, "Whether changes of the template wait.")] = False
    progressDeadlineSeconds: Annotated[
        Int32 | None,
        At(9, "How long an update may stand still before it counts as failed. 600 if not given."),
    ] = None


class DeploymentCondition(Model, name="io.k8s.api.apps.v1.DeploymentCondition"):
    """One aspect of a deployment's state."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    lastUpdateTime: Annotated[Time | None, At(6, always=True)] = None
    lastTransitionTime: Annotated[Time | None, At(7, always=True)] = None
    reason: Annotated[str, At(4)] = ""
    message: Annotated[str, At(5)] = ""


class DeploymentStatus(Model, name="io.k8s.api.apps.v1.DeploymentStatus"):
    """How far a deployment has come."""

    observedGeneration: Annotated[int, At(1)] = 0
    replicas: Annotated[Int32, At(2)] = 0
    updatedReplicas: Annotated[Int32, At(3)] = 0
    readyReplicas: Annotated[Int32, At(7)] = 0
    availableReplicas: Annotated[Int32, At(4)] = 0
    unavailableReplicas: Annotated[Int32, At(5)] = 0
    terminatingReplicas: Annotated[Int32 | None, At(9)] = None
    conditions: Annotated[list[DeploymentCondition], At(6, keys=("type",), merge="type")] = []
    collisionCount: Annotated[Int32 | None, At(8)] = None


@kind(
    plural="deployments",
    short_names=("deploy",),
    categories=("all",),
    generation=True,
    subresources=(
        SubresourceInfo("scale", "Scale", group="autoscaling"),
        SubresourceInfo("status"),
    ),
)
class Deployment(Object, name="io.k8s.api.apps.v1.Deployment"):
    """Keeps a number of equal pods running and replaces them step by step when their template changes."""

    apiVersion: str = "apps/v1"
    kind: str = "Deployment"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[DeploymentSpec, At(2, "What the deployment is to be.")] = default(DeploymentSpec)
    status: Annotated[DeploymentStatus, At(3, "How far it has come.")] = default(DeploymentStatus)


class DeploymentList(Object, name="io.k8s.api.apps.v1.DeploymentList"):
    """A list of Deployment objects."""

    apiVersion: str = "apps/v1"
    kind: str = "DeploymentList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[Deployment], At(2, required=True, list_type="")] = []
