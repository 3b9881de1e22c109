"""What an autoscaler looks at, and what it last saw."""

from typing import Annotated

from tiphys.api.declaration import At, Int32, Model, Quantity, default
from tiphys.api.meta import LabelSelector


class CrossVersionObjectReference(Model, name="io.k8s.api.autoscaling.v2.CrossVersionObjectReference", atomic=True):
    """Names the object that is scaled."""

    kind: Annotated[str, At(1, required=True)] = ""
    name: Annotated[str, At(2, required=True)] = ""
    apiVersion: Annotated[str, At(3)] = ""


class MetricIdentifier(Model, name="io.k8s.api.autoscaling.v2.MetricIdentifier"):
    """Names a metric, and which of its series."""

    name: Annotated[str, At(1, required=True)] = ""
    selector: Annotated[LabelSelector | None, At(2)] = None


class MetricTarget(Model, name="io.k8s.api.autoscaling.v2.MetricTarget"):
    """The value wanted."""

    type: Annotated[str, At(1, required=True)] = ""
    value: Annotated[Quantity | None, At(2)] = None
    averageValue: Annotated[Quantity | None, At(3)] = None
    averageUtilization: Annotated[Int32 | None, At(4)] = None


class ObjectMetricSource(Model, name="io.k8s.api.autoscaling.v2.ObjectMetricSource"):
    """A metric of one object."""

    describedObject: Annotated[
        CrossVersionObjectReference,
        At(1, required=True),
    ] = default(CrossVersionObjectReference)
    target: Annotated[MetricTarget, At(2, required=True)] = default(MetricTarget)
    metric: Annotated[MetricIdentifier, At(3, required=True)] = default(MetricIdentifier)


class PodsMetricSource(Model, name="io.k8s.api.autoscaling.v2.PodsMetricSource"):
    """A metric of each pod, averaged."""

    metric: Annotated[MetricIdentifier, At(1, required=True)] = default(MetricIdentifier)
    target: Annotated[MetricTarget, At(2, required=True)] = default(MetricTarget)


class ResourceMetricSource(Model, name="io.k8s.api.autoscaling.v2.ResourceMetricSource"):
    """Use of a resource, averaged over the pods."""

    name: Annotated[str, At(1, required=True)] = ""
    target: Annotated[MetricTarget, At(2, required=True)] = default(MetricTarget)


class ContainerResourceMetricSource(Model, name="io.k8s.api.autoscaling.v2.ContainerResourceMetricSource"):
    """Use of a resource by one container of each pod."""

    name: Annotated[str, At(1, required=True)] = ""
    target: Annotated[MetricTarget, At(2, required=True)] = default(MetricTarget)
    container: Annotated[str, At(3, required=True)] = ""


class ExternalMetricSource(Model, name="io.k8s.api.autoscaling.v2.ExternalMetricSource"):
    """A metric from outside the cluster."""

    metric: Annotated[MetricIdentifier, At(1, required=True)] = default(MetricIdentifier)
    target: Annotated[MetricTarget, At(2, required=True)] = default(MetricTarget)


class MetricSpec(Model, name="io.k8s.api.autoscaling.v2.MetricSpec"):
    """One metric that replicas follow."""

    type: Annotated[str, At(1, required=True)] = ""
    object: Annotated[ObjectMetricSource | None, At(2)] = None
    pods: Annotated[PodsMetricSource | None, At(3)] = None
    resource: Annotated[ResourceMetricSource | None, At(4)] = None
    containerResource: Annotated[ContainerResourceMetricSource | None, At(7)] = None
    external: Annotated[ExternalMetricSource | None, At(5)] = None


class MetricValueStatus(Model, name="io.k8s.api.autoscaling.v2.MetricValueStatus"):
    """The value last seen."""

    value: Annotated[Quantity | None, At(1)] = None
    averageValue: Annotated[Quantity | None, At(2)] = None
    averageUtilization: Annotated[Int32 | None, At(3)] = None


class ObjectMetricStatus(Model, name="io.k8s.api.autoscaling.v2.ObjectMetricStatus"):
    """What a metric of an object last was."""

    metric: Annotated[MetricIdentifier, At(1, required=True)] = default(MetricIdentifier)
    current: Annotated[MetricValueStatus, At(2, required=True)] = default(MetricValueStatus)
    describedObject: Annotated[
        CrossVersionObjectReference,
        At(3, required=True),
    ] = default(CrossVersionObjectReference)


class PodsMetricStatus(Model, name="io.k8s.api.autoscaling.v2.PodsMetricStatus"):
    """What a metric of pods last was."""

    metric: Annotated[MetricIdentifier, At(1, required=True)] = default(MetricIdentifier)
    current: Annotated[MetricValueStatus, At(2, required=True)] = default(MetricValueStatus)


class ResourceMetricStatus(Model, name="io.k8s.api.autoscaling.v2.ResourceMetricStatus"):
    """What the use of a resource last was."""

    name: Annotated[str, At(1, required=True)] = ""
    current: Annotated[MetricValueStatus, At(2, required=True)] = default(MetricValueStatus)


class ContainerResourceMetricStatus(Model, name="io.k8s.api.autoscaling.v2.ContainerResourceMetricStatus"):
    """What the use of a resource by one container last was."""

    name: Annotated[str, At(1, required=True)] = ""
    current: Annotated[MetricValueStatus, At(2, required=True)] = default(MetricValueStatus)
    container: Annotated[str, At(3, required=True)] = ""


class ExternalMetricStatus(Model, name="io.k8s.api.autoscaling.v2.ExternalMetricStatus"):
    """What an external metric last was."""

    metric: Annotated[MetricIdentifier, At(1, required=True)] = default(MetricIdentifier)
    current: Annotated[MetricValueStatus, At(2, required=True)] = default(MetricValueStatus)


class MetricStatus(Model, name="io.k8s.api.autoscaling.v2.MetricStatus"):
    """What one metric last was."""

    type: Annotated[str, At(1, required=True)] = ""
    object: Annotated[ObjectMetricStatus | None, At(2)] = None
    pods: Annotated[PodsMetricStatus | None, At(3)] = None
    resource: Annotated[ResourceMetricStatus | None, At(4)] = None
    containerResource: Annotated[ContainerResourceMetricStatus | None, At(7)] = None
    external: Annotated[ExternalMetricStatus | None, At(5)] = None
