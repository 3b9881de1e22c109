"""What the server fills in for claims of devices."""

from typing import Any

from tiphys.api.declaration import sets_defaults

JsonObject = dict[str, Any]
_PACKAGE = "io.k8s.api.resource.v1."


@sets_defaults(_PACKAGE + "ExactDeviceRequest")
def exact_request(request: JsonObject) -> None:
    if not request.get("allocationMode"):
        request["allocationMode"] = "ExactCount"
    if request["allocationMode"] == "ExactCount" and not request.get("count"):
        request["count"] = 1


@sets_defaults(_PACKAGE + "DeviceSubRequest")
def sub_request(request: JsonObject) -> None:
    exact_request(request)


@sets_defaults(_PACKAGE + "DeviceToleration")
def toleration(obj: JsonObject) -> None:
    if not obj.get("operator"):
        obj["operator"] = "Equal"
