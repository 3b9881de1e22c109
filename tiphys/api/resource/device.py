"""A device of a node: attributes, capacities, taints."""

from typing import Annotated

from tiphys.api.core.scheduling import NodeSelector
from tiphys.api.declaration import At, Model, Quantity, Time, alias


class DeviceAttribute(Model, name="io.k8s.api.resource.v1.DeviceAttribute"):
    """One value that describes a device."""

    int_: Annotated[int | None, At(2), alias("int")] = None
    bool_: Annotated[bool | None, At(3), alias("bool")] = None
    string: Annotated[str | None, At(4)] = None
    version: Annotated[str | None, At(5)] = None
    ints: Annotated[list[int], At(6)] = []
    bools: Annotated[list[bool], At(7)] = []
    strings: Annotated[list[str], At(8)] = []
    versions: Annotated[list[str], At(9)] = []


class CapacityRequestPolicyRange(Model, name="io.k8s.api.resource.v1.CapacityRequestPolicyRange"):
    """From where to where a capacity can be asked for."""

    min: Annotated[Quantity | None, At(1, required=True, always=False)] = None
    max: Annotated[Quantity | None, At(2)] = None
    step: Annotated[Quantity | None, At(3)] = None


class CapacityRequestPolicy(Model, name="io.k8s.api.resource.v1.CapacityRequestPolicy"):
    """In which amounts a capacity can be asked for."""

    default: Annotated[Quantity | None, At(1, always=True)] = None
    validValues: Annotated[list[Quantity], At(3)] = []
    validRange: Annotated[CapacityRequestPolicyRange | None, At(4)] = None


class DeviceCapacity(Model, name="io.k8s.api.resource.v1.DeviceCapacity"):
    """How much of something a device has."""

    value: Annotated[Quantity, At(1, required=True)] = ""
    requestPolicy: Annotated[CapacityRequestPolicy | None, At(2)] = None


class Counter(Model, name="io.k8s.api.resource.v1.Counter"):
    """An amount that devices share."""

    value: Annotated[Quantity, At(1, required=True)] = ""


class CounterSet(Model, name="io.k8s.api.resource.v1.CounterSet"):
    """Amounts that devices of a pool share."""

    name: Annotated[str, At(1, required=True)] = ""
    counters: Annotated[dict[str, Counter], At(2, required=True, always=False)] = {}


class DeviceCounterConsumption(Model, name="io.k8s.api.resource.v1.DeviceCounterConsumption"):
    """How much of a shared amount a device uses."""

    counterSet: Annotated[str, At(1, required=True)] = ""
    counters: Annotated[dict[str, Counter], At(2, required=True, always=False)] = {}


class DeviceTaint(Model, name="io.k8s.api.resource.v1.DeviceTaint"):
    """Keeps a device from claims that do not tolerate it."""

    key: Annotated[str, At(1, required=True)] = ""
    value: Annotated[str, At(2)] = ""
    effect: Annotated[str, At(3, required=True, enum=("NoExecute", "NoSchedule", "None"))] = ""
    timeAdded: Annotated[Time | None, At(4)] = None


class NodeAllocatableResourceMapping(Model, name="io.k8s.api.resource.v1.NodeAllocatableResourceMapping"):
    """Which resource of the node a device takes from."""

    allocationMultiplier: Annotated[Quantity | None, At(2)] = None
    capacityKey: Annotated[str, At(1)] = ""


class Device(Model, name="io.k8s.api.resource.v1.Device"):
    """One device of a pool."""

    name: Annotated[str, At(1, required=True)] = ""
    attributes: Annotated[dict[str, DeviceAttribute], At(2)] = {}
    capacity: Annotated[dict[str, DeviceCapacity], At(3)] = {}
    consumesCounters: Annotated[list[DeviceCounterConsumption], At(4)] = []
    nodeName: Annotated[str | None, At(5)] = None
    nodeSelector: Annotated[NodeSelector | None, At(6)] = None
    allNodes: Annotated[bool | None, At(7)] = None
    taints: Annotated[list[DeviceTaint], At(8)] = []
    bindsToNode: Annotated[bool | None, At(9)] = None
    bindingConditions: Annotated[list[str], At(10)] = []
    bindingFailureConditions: Annotated[list[str], At(11)] = []
    allowMultipleAllocations: Annotated[bool | None, At(12)] = None
    nodeAllocatableResourceMappings: Annotated[dict[str, NodeAllocatableResourceMapping], At(13)] = {}
