"""Who may call the agent: the holder of a client certificate of the cluster's CA that is the API server or a cluster
master.

The TLS layer verifies the chain; here the subject is judged.  Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

API_SERVER = "kube-apiserver-kubelet-client"
MASTERS = "system:masters"


def subject(certificate: Mapping[str, Any]) -> tuple[str, frozenset[str]]:
    """(common name, organizations) of what ssl.SSLSocket.getpeercert returns."""
    name, groups = "", set()
    for relative in certificate.get("subject", ()):
        for key, value in relative:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.add(value)
    return name, frozenset(groups)


def decide(certificate: Mapping[str, Any] | None) -> int:
    """200, or the status code of the refusal: 401 without a certificate, 403 for anybody else's."""
    if not certificate:
        return 401
    name, groups = subject(certificate)
    return 200 if name == API_SERVER or MASTERS in groups else 403
