"""Legacy service account tokens: those kept in Secrets of type kubernetes.io/service-account-token.

They have no audience and no end.  What must stay true: a token lives exactly as long as its Secret holds that very
token and its account is the one it was made for.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from pathlib import Path
from typing import Any

import jwt

from apiserver.authentication.serviceaccount import Lookup
from apiserver.request import Request, User
from tiphys.api.status import unauthorized

ISSUER = "kubernetes/serviceaccount"
_CLAIM = f"{ISSUER}/"
_UNCHECKED = {"verify_signature": False}
_CHECKS = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}


class LegacyTokens:
    def __init__(self, public_key_path: Path, lookup: Lookup) -> None:
        self._public_key = public_key_path.read_text()
        self._lookup = lookup

    async def authenticate(self, request: Request) -> User | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not is_legacy(token):
            return None
        user = await self.verify(token)
        if user is None:
            raise unauthorized()
        return user

    async def verify(self, token: str) -> User | None:
        """The account of a legacy token; None when it is forged or no longer good."""
        try:
            claims = jwt.decode(
                token,
                self._public_key,
                algorithms=["RS256"],
                issuer=ISSUER,
                options=_CHECKS,  # type: ignore[arg-type]
            )
            namespace, name = claims[f"{_CLAIM}namespace"], claims[f"{_CLAIM}service-account.name"]
            uid, secret_name = claims[f"{_CLAIM}service-account.uid"], claims[f"{_CLAIM}secret.name"]
        except (jwt.PyJWTError, KeyError):
            return None
        if not all(isinstance(part, str) for part in (namespace, name, uid, secret_name)):
            return None
        account = await self._lookup("", "serviceaccounts", namespace, name)
        secret = await self._lookup("", "secrets", namespace, secret_name)
        if account is None or account["metadata"]["uid"] != uid or account["metadata"].get("deletionTimestamp"):
            return None
        if secret is None or not _holds(secret, token):
            return None
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        return User(f"system:serviceaccount:{namespace}:{name}", groups, uid)


def is_legacy(token: str) -> bool:
    """Whether the token says that it is one; nothing is checked."""
    try:
        claims: Any = jwt.decode(token, options=_UNCHECKED)  # type: ignore[arg-type]
    except jwt.PyJWTError:
        return False
    return isinstance(claims, dict) and claims.get("iss") == ISSUER


def _holds(secret: dict[str, Any], token: str) -> bool:
    try:
        held = base64.b64decode((secret.get("data") or {}).get("token", ""))
    except binascii.Error:
        return False
    return not secret["metadata"].get("deletionTimestamp") and hmac.compare_digest(held, token.encode())
