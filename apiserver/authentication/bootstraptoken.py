"""Bootstrap tokens: what a machine shows that wants to join, `abcdef.0123456789abcdef`.

A token is a Secret in kube-system of type bootstrap.kubernetes.io/token.  What must stay true: it makes the caller a
member of system:bootstrappers and of groups below it, never of anything else; an expired or deleted one is a 401.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from typing import Any

from apiserver.authentication.serviceaccount import Lookup
from apiserver.request import Request, User
from tiphys.api.status import unauthorized
from tiphys.api.times import parse_time
from tiphys.clock import Clock

NAMESPACE, TYPE, PREFIX = "kube-system", "bootstrap.kubernetes.io/token", "bootstrap-token-"
GROUP, USER_PREFIX = "system:bootstrappers", "system:bootstrap:"
_TOKEN = re.compile(r"\A([a-z0-9]{6})\.([a-z0-9]{16})\Z")
_EXTRA_GROUP = re.compile(r"\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\Z")


class BootstrapTokens:
    def __init__(self, lookup: Lookup, clock: Clock) -> None:
        self._lookup = lookup
        self._clock = clock

    async def authenticate(self, request: Request) -> User | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        match = _TOKEN.match(token.strip())
        if scheme.lower() != "bearer" or match is None:
            return None
        secret = await self._lookup("", "secrets", NAMESPACE, PREFIX + match[1])
        user = None if secret is None else self._user(secret, match[1], match[2])
        if user is None:
            raise unauthorized()
        return user

    def _user(self, secret: dict[str, Any], token_id: str, token_secret: str) -> User | None:
        """Whom the Secret says the token is; None when it is not good for that."""
        data = {name: _text(value) for name, value in (secret.get("data") or {}).items()}
        if secret.get("type") != TYPE or secret["metadata"].get("deletionTimestamp"):
            return None
        same = hmac.compare_digest(data.get("token-secret", "").encode(), token_secret.encode())
        if not same or data.get("token-id") != token_id or data.get("usage-bootstrap-authentication") != "true":
            return None
        if "expiration" in data:
            try:
                if parse_time(data["expiration"]) <= self._clock.now():
                    return None
            except ValueError:
                return None
        extra = [group for group in data.get("auth-extra-groups", "").split(",") if group]
        if not all(_EXTRA_GROUP.match(group) for group in extra):
            return None
        return User(USER_PREFIX + token_id, (GROUP, *dict.fromkeys(extra)))


def _text(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
