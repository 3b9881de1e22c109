"""What the server fills into a CustomResourceDefinition: the names that follow from others, and no conversion."""

from __future__ import annotations

from typing import Any

from tiphys.api.declaration import sets_defaults

_PACKAGE = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."


@sets_defaults(_PACKAGE + "CustomResourceDefinitionSpec")
def _spec(spec: dict[str, Any]) -> None:
    names = spec.setdefault("names", {})
    kind = names.get("kind", "")
    if kind and not names.get("singular"):
        names["singular"] = kind.lower()
    if kind and not names.get("listKind"):
        names["listKind"] = f"{kind}List"
    if spec.get("conversion") is None:
        spec["conversion"] = {"strategy": "None"}


@sets_defaults(_PACKAGE + "ServiceReference")
def _service(service: dict[str, Any]) -> None:
    if service.get("port") is None:
        service["port"] = 443
