"""Service account tokens: signed by this cluster, bound to an audience, an account and possibly a pod.

What must stay true: a token is only as alive as what it is bound to: when the account or the pod is gone or was
recreated under the same name, the token is refused.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from apiserver.request import Request, User
from tiphys.api.status import unauthorized
from tiphys.clock import Clock

ISSUER = "https://kubernetes.default.svc.cluster.local"
_CACHE_SIZE = 4096

Lookup = Callable[[str, str, str, str], Awaitable[dict[str, Any] | None]]
"""(group, plural, namespace, name) -> the object or None."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The object a token is bound to: kind Pod, Secret or Node."""

    kind: str
    name: str
    uid: str


class InvalidToken(Exception):
    """The token is not good here; the text says why (for TokenReview and logs, never for the 401's body)."""


class TokenSigner:
    """Issues tokens with the cluster's service account key."""

    def __init__(self, key_path: Path, clock: Clock) -> None:
        self._key = key_path.read_text()
        self._clock = clock

    def issue(
        self,
        account: dict[str, Any],
        *,
        audiences: Sequence[str],
        seconds: int,
        pod: dict[str, Any] | None = None,
        node: Bound | None = None,
        warn_after_seconds: int = 0,
    ) -> tuple[str, int]:
        """(token, expiry in seconds since the epoch) for a ServiceAccount object."""
        now = int(self._clock.now().timestamp())
        meta = account["metadata"]
        private: dict[str, Any] = {"namespace": meta["namespace"]}
        if node is not None:
            private["node"] = {"name": node.name, "uid": node.uid}
        if pod is not None:
            private["pod"] = {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        private["serviceaccount"] = {"name": meta["name"], "uid": meta["uid"]}
        if warn_after_seconds:
            private["warnafter"] = now + warn_after_seconds
        claims = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
            "nbf": now,
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        }
        key_id = hashlib.sha256(self._key.encode()).hexdigest()[:43]
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": key_id}), now + seconds


class ServiceAccountTokens:
    """Verifies `Authorization: Bearer` tokens issued by `TokenSigner`."""

    def __init__(
        self, public_key_path: Path, lookup: Lookup, clock: Clock, audiences: Sequence[str] = (ISSUER,)
    ) -> None:
        self._public_key = public_key_path.read_text()
        self._lookup = lookup
        self._clock = clock
        self._audiences = tuple(audiences)
        self._verified: OrderedDict[bytes, dict[str, Any]] = OrderedDict()  # claims whose signature is known good

    async def authenticate(self, request: Request) -> User | None:
        header = request.headers.get("Authorization", "")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        try:
            user, _ = await self.verify(token.strip(), self._audiences)
        except InvalidToken:
            raise unauthorized() from None
        return user

    async def verify(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]:
        """(user, audiences the token and the server share).  Raises InvalidToken."""
        claims = self._claims(token)
        wanted = audiences or self._audiences
        shared = [audience for audience in claims.get("aud", []) if audience in wanted]
        if not shared:
            raise InvalidToken(
                f"token audiences {claims.get('aud')!r} is invalid for the target audiences {list(wanted)!r}"
            )
        now = self._clock.now().timestamp()
        if claims["exp"] <= now:
            raise InvalidToken("service account token has expired")
        if claims["nbf"] > now + 10:
            raise InvalidToken("service account token is not valid yet")
        return await self._bound_user(claims), shared

    def _claims(self, token: str) -> dict[str, Any]:
        digest = hashlib.sha256(token.encode()).digest()
        claims = self._verified.get(digest)
        if claims is not None:
            return claims
        options = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        try:
            decoded = jwt.decode(
                token,
                self._public_key,
                algorithms=["RS256"],
                issuer=ISSUER,
                options=options,  # type: ignore[arg-type]
            )
        except jwt.PyJWTError as error:
            raise InvalidToken(f"invalid bearer token, {error}") from None
        if not isinstance(decoded.get("kubernetes.io"), dict) or not isinstance(decoded.get("exp"), int):
            raise InvalidToken("token does not carry service account claims")
        self._verified[digest] = decoded
        if len(self._verified) > _CACHE_SIZE:
            self._verified.popitem(last=False)
        return decoded

    async def _bound_user(self, claims: dict[str, Any]) -> User:
        private = claims["kubernetes.io"]
        namespace, account = private["namespace"], private["serviceaccount"]
        await self._must_exist("serviceaccounts", namespace, account, "service account")
        extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        if "pod" in private:
            await self._must_exist("pods", namespace, private["pod"], "pod")
            extra["authentication.kubernetes.io/pod-name"] = (private["pod"]["name"],)
            extra["authentication.kubernetes.io/pod-uid"] = (private["pod"]["uid"],)
        if "node" in private:
            extra["authentication.kubernetes.io/node-name"] = (private["node"]["name"],)
            extra["authentication.kubernetes.io/node-uid"] = (private["node"].get("uid", ""),)
        if "secret" in private:
            await self._must_exist("secrets", namespace, private["secret"], "secret")
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        name = f"system:serviceaccount:{namespace}:{account['name']}"
        return User(name, groups, account["uid"], extra)

    async def _must_exist(self, plural: str, namespace: str, reference: dict[str, str], word: str) -> None:
        found = await self._lookup("", plural, namespace, reference["name"])
        if found is None or found["metadata"].get("uid") != reference["uid"]:
            raise InvalidToken(f"{word} {namespace}/{reference['name']} has been deleted")
