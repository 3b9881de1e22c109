"""ReplicationController: the ancestor of ReplicaSet."""

from typing import Annotated

from tiphys.api.core.pod import PodTemplateSpec
from tiphys.api.declaration import At, Int32, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta


class ReplicationControllerSpec(Model, name="io.k8s.api.core.v1.ReplicationControllerSpec"):
    """What a replication controller is to be."""

    replicas: Annotated[Int32 | None, At(1, default=1)] = None
    minReadySeconds: Annotated[Int32, At(4, default=0)] = 0
    selector: Annotated[dict[str, str], At(2, atomic=True)] = {}
    template: Annotated[PodTemplateSpec | None, At(3)] = None


class ReplicationControllerCondition(Model, name="io.k8s.api.core.v1.ReplicationControllerCondition"):
    """One aspect of a replication controller's state."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    lastTransitionTime: Annotated[Time | None, At(3, always=True)] = None
    reason: Annotated[str, At(4)] = ""
    message: Annotated[str, At(5)] = ""


class ReplicationControllerStatus(Model, name="io.k8s.api.core.v1.ReplicationControllerStatus"):
    """How many pods a replication controller has."""

    replicas: Annotated[Int32, At(1, required=True)] = 0
    fullyLabeledReplicas: Annotated[Int32, At(2)] = 0
    readyReplicas: Annotated[Int32, At(4)] = 0
    availableReplicas: Annotated[Int32, At(5)] = 0
    observedGeneration: Annotated[int, At(3)] = 0
    conditions: Annotated[list[ReplicationControllerCondition], At(6, keys=("type",), merge="type")] = []


@kind(
    plural="replicationcontrollers",
    short_names=("rc",),
    categories=("all",),
    generation=True,
    subresources=(
        SubresourceInfo("scale", "Scale", group="autoscaling"),
        SubresourceInfo("status"),
    ),
)
class ReplicationController(Object, name="io.k8s.api.core.v1.ReplicationController"):
    """Keeps a number of equal pods running; use a Deployment instead."""

    apiVersion: str = "v1"
    kind: str = "ReplicationController"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[ReplicationControllerSpec, At(2)] = default(ReplicationControllerSpec)
    status: Annotated[ReplicationControllerStatus, At(3)] = default(ReplicationControllerStatus)


class ReplicationControllerList(Object, name="io.k8s.api.core.v1.ReplicationControllerList"):
    """A list of ReplicationController objects."""

    apiVersion: str = "v1"
    kind: str = "ReplicationControllerList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[ReplicationController], At(2, required=True, list_type="")] = []
