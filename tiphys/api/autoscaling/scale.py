"""Scale: the number of replicas of another object, as a subresource."""

from typing import Annotated

from tiphys.api.declaration import At, Int32, Model, Object, default
from tiphys.api.meta import ObjectMeta


class ScaleSpec(Model, name="io.k8s.api.autoscaling.v1.ScaleSpec"):
    """How many replicas are wanted."""

    replicas: Annotated[Int32, At(1, default=0)] = 0


class ScaleStatus(Model, name="io.k8s.api.autoscaling.v1.ScaleStatus"):
    """How many replicas there are, and how to find them."""

    replicas: Annotated[Int32, At(1, required=True)] = 0
    selector: Annotated[str, At(2)] = ""


class Scale(Object, name="io.k8s.api.autoscaling.v1.Scale"):
    """The number of replicas of a workload, as a subresource."""

    apiVersion: str = "autoscaling/v1"
    kind: str = "Scale"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[ScaleSpec, At(2)] = default(ScaleSpec)
    status: Annotated[ScaleStatus, At(3)] = default(ScaleStatus)
