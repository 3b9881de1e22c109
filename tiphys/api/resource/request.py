"""What a claim asks for."""

from typing import Annotated

from tiphys.api.declaration import NULL_IS_EMPTY, At, Model
from tiphys.api.resource.selection import CapacityRequirements, DeviceConfiguration, DeviceSelector, DeviceToleration


class ExactDeviceRequest(Model, name="io.k8s.api.resource.v1.ExactDeviceRequest"):
    """Devices of one class."""

    deviceClassName: Annotated[str, At(1, required=True)] = ""
    selectors: Annotated[list[DeviceSelector], At(2)] = []
    allocationMode: Annotated[str, At(3, enum=("All", "ExactCount"))] = ""
    count: Annotated[int, At(4)] = 0
    adminAccess: Annotated[bool | None, At(5)] = None
    tolerations: Annotated[list[DeviceToleration], At(6)] = []
    capacity: Annotated[CapacityRequirements | None, At(7)] = None


class DeviceSubRequest(Model, name="io.k8s.api.resource.v1.DeviceSubRequest"):
    """One of several alternatives."""

    name: Annotated[str, At(1, required=True)] = ""
    deviceClassName: Annotated[str, At(2, required=True)] = ""
    selectors: Annotated[list[DeviceSelector], At(3)] = []
    allocationMode: Annotated[str, At(4, enum=("All", "ExactCount"))] = ""
    count: Annotated[int, At(5)] = 0
    tolerations: Annotated[list[DeviceToleration], At(6)] = []
    capacity: Annotated[CapacityRequirements | None, At(7)] = None


class DeviceRequest(Model, name="io.k8s.api.resource.v1.DeviceRequest"):
    """A request for devices, exact or as a list of alternatives."""

    name: Annotated[str, At(1, required=True)] = ""
    exactly: Annotated[ExactDeviceRequest | None, At(2)] = None
    firstAvailable: Annotated[list[DeviceSubRequest], At(3)] = []


class DeviceConstraint(Model, name="io.k8s.api.resource.v1.DeviceConstraint"):
    """What several devices must have in common."""

    requests: Annotated[list[str], At(1)] = []
    matchAttribute: Annotated[str | None, At(2)] = None
    distinctAttribute: Annotated[str | None, At(3)] = None


class DeviceClaimConfiguration(DeviceConfiguration, name="io.k8s.api.resource.v1.DeviceClaimConfiguration", inlined=2):
    """Settings for the devices of some requests."""

    requests: Annotated[list[str], At(1)] = []


class DeviceClaim(Model, name="io.k8s.api.resource.v1.DeviceClaim"):
    """All that is asked for together."""

    requests: Annotated[list[DeviceRequest], At(1, always=True), NULL_IS_EMPTY] = []
    constraints: Annotated[list[DeviceConstraint], At(2)] = []
    config: Annotated[list[DeviceClaimConfiguration], At(3)] = []
