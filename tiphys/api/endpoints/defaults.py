"""What the server fills in for endpoint slices."""

from typing import Any

from tiphys.api.declaration import sets_defaults


@sets_defaults("io.k8s.api.discovery.v1.EndpointPort")
def endpoint_port(port: dict[str, Any]) -> None:
    port.setdefault("name", "")
    port.setdefault("protocol", "TCP")
