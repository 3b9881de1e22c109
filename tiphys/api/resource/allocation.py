"""Which devices a claim got."""

from typing import Annotated

from tiphys.api.core.scheduling import NodeSelector
from tiphys.api.declaration import At, Model, Quantity, RawExtension, Time, default
from tiphys.api.meta import Condition
from tiphys.api.resource.selection import DeviceConfiguration, DeviceToleration


class DeviceRequestAllocationResult(Model, name="io.k8s.api.resource.v1.DeviceRequestAllocationResult"):
    """The device one request got."""

    request: Annotated[str, At(1, required=True)] = ""
    driver: Annotated[str, At(2, required=True)] = ""
    pool: Annotated[str, At(3, required=True)] = ""
    device: Annotated[str, At(4, required=True)] = ""
    adminAccess: Annotated[bool | None, At(5)] = None
    tolerations: Annotated[list[DeviceToleration], At(6)] = []
    bindingConditions: Annotated[list[str], At(7)] = []
    bindingFailureConditions: Annotated[list[str], At(8)] = []
    shareID: Annotated[str | None, At(9)] = None
    consumedCapacity: Annotated[dict[str, Quantity], At(10)] = {}


class DeviceAllocationConfiguration(
    DeviceConfiguration, name="io.k8s.api.resource.v1.DeviceAllocationConfiguration", inlined=3
):
    """Settings for devices that were given out, and where they came from."""

    source: Annotated[str, At(1, required=True, enum=("FromClaim", "FromClass"))] = ""
    requests: Annotated[list[str], At(2)] = []


class DeviceAllocationResult(Model, name="io.k8s.api.resource.v1.DeviceAllocationResult"):
    """The devices of a claim and their settings."""

    results: Annotated[list[DeviceRequestAllocationResult], At(1)] = []
    config: Annotated[list[DeviceAllocationConfiguration], At(2)] = []


class AllocationResult(Model, name="io.k8s.api.resource.v1.AllocationResult"):
    """What a claim got, and where it can be used."""

    devices: Annotated[DeviceAllocationResult, At(1)] = default(DeviceAllocationResult)
    nodeSelector: Annotated[NodeSelector | None, At(3)] = None
    allocationTimestamp: Annotated[Time | None, At(5)] = None


class NetworkDeviceData(Model, name="io.k8s.api.resource.v1.NetworkDeviceData"):
    """How a device appears on the network."""

    interfaceName: Annotated[str, At(1)] = ""
    ips: Annotated[list[str], At(2)] = []
    hardwareAddress: Annotated[str, At(3)] = ""


class AllocatedDeviceStatus(Model, name="io.k8s.api.resource.v1.AllocatedDeviceStatus"):
    """What the driver says about a device that was given out."""

    driver: Annotated[str, At(1, required=True)] = ""
    pool: Annotated[str, At(2, required=True)] = ""
    device: Annotated[str, At(3, required=True)] = ""
    shareID: Annotated[str | None, At(7)] = None
    conditions: Annotated[list[Condition], At(4, always=True, keys=("type",))] = []
    data: Annotated[RawExtension, At(5)] = None
    networkData: Annotated[NetworkDeviceData | None, At(6)] = None
