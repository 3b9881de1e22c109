"""Bootstrap token Secrets for tests."""

from typing import Any


def bootstrap_secret(token_id: str, secret: str, **more: str) -> dict[str, Any]:
    data = {
        "token-id": token_id,
        "token-secret": secret,
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    metadata = {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"}
    return {"metadata": metadata, "type": "bootstrap.kubernetes.io/token", "stringData": data}
