"""What the server fills in for token requests."""

from typing import Any

from tiphys.api.declaration import sets_defaults


@sets_defaults("io.k8s.api.authentication.v1.TokenRequestSpec")
def token_request_spec(spec: dict[str, Any]) -> None:
    if spec.get("expirationSeconds") is None:
        spec["expirationSeconds"] = 3600
