"""Which devices are wanted, and how they are set up."""

from typing import Annotated

from tiphys.api.declaration import At, Model, Quantity, RawExtension


class CELDeviceSelector(Model, name="io.k8s.api.resource.v1.CELDeviceSelector"):
    """An expression over the attributes of a device."""

    expression: Annotated[str, At(1, required=True)] = ""


class DeviceSelector(Model, name="io.k8s.api.resource.v1.DeviceSelector"):
    """Tells wanted devices from others."""

    cel: Annotated[CELDeviceSelector | None, At(1)] = None


class OpaqueDeviceConfiguration(Model, name="io.k8s.api.resource.v1.OpaqueDeviceConfiguration"):
    """Settings only the driver understands."""

    driver: Annotated[str, At(1, required=True)] = ""
    parameters: Annotated[RawExtension, At(2, required=True)] = None


class DeviceConfiguration(Model, name="io.k8s.api.resource.v1.DeviceConfiguration"):
    """Settings for a device."""

    opaque: Annotated[OpaqueDeviceConfiguration | None, At(1)] = None


class DeviceClassConfiguration(DeviceConfiguration, name="io.k8s.api.resource.v1.DeviceClassConfiguration", inlined=1):
    """Settings every device of a class gets."""


class DeviceToleration(Model, name="io.k8s.api.resource.v1.DeviceToleration"):
    """A taint of a device that is accepted."""

    key: Annotated[str, At(1)] = ""
    operator: Annotated[str, At(2, default="Equal", enum=("Equal", "Exists"))] = ""
    value: Annotated[str, At(3)] = ""
    effect: Annotated[str, At(4, enum=("NoExecute", "NoSchedule", "None"))] = ""
    tolerationSeconds: Annotated[int | None, At(5)] = None


class CapacityRequirements(Model, name="io.k8s.api.resource.v1.CapacityRequirements"):
    """How much of a device's capacity is wanted."""

    requests: Annotated[dict[str, Quantity], At(1)] = {}
