"""Client certificates: CN is the user, every O a group.

What must stay true: only certificates that the TLS layer verified against the cluster's CA get here.
"""

from __future__ import annotations

from typing import Any

from apiserver.request import Request, User


class ClientCertificates:
    async def authenticate(self, request: Request) -> User | None:
        return user_of(request.peer) if request.peer else None


def user_of(certificate: Any) -> User | None:
    """The user a certificate names, as `ssl.SSLSocket.getpeercert()` describes it; None without a common name."""
    name, groups = "", []
    for relative_name in certificate.get("subject", ()):
        for key, value in relative_name:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.append(value)
    return User(name, tuple(groups)) if name else None
