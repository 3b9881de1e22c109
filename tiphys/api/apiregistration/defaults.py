"""What the server fills in for API services."""

from typing import Any

from tiphys.api.declaration import sets_defaults


@sets_defaults("io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.ServiceReference")
def service_reference(service: dict[str, Any]) -> None:
    service.setdefault("port", 443)
