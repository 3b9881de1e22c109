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

from apiserver.authentication.issuer import DEFAULT_ISSUER, Issuer, key_id, load_public_key
from apiserver.authorization.rules import quoted
from apiserver.request import Request, User
from tiphys.api.status import unauthorized
from tiphys.api.times import parse_time
from tiphys.clock import Clock

ISSUER = DEFAULT_ISSUER
_CACHE_SIZE = 4096
_LEEWAY_SECONDS = 60  # how long after its deletion is due an object may still hold up a token
_NOT_BEFORE_SKEW_SECONDS = 10

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

    def __init__(self, key_path: Path, clock: Clock, issuer: Issuer = Issuer()) -> None:  # noqa: B008
        self._key = key_path.read_text()
        self._clock = clock
        self._key_id = key_id(load_public_key(self._key.encode()))
        self.issuer = issuer

    def issue(
        self,
        account: dict[str, Any],
        *,
        audiences: Sequence[str],
        seconds: int,
        bound: Sequence[Bound] = (),
        warn_after_seconds: int = 0,
    ) -> tuple[str, int]:
        """(token, expiry in seconds since the epoch) for a ServiceAccount object.

        `bound`: a Pod and its Node, a Node, or a Secret."""
        now = int(self._clock.now().timestamp())
        meta = account["metadata"]
        private: dict[str, Any] = {"namespace": meta["namespace"]}
        for one in bound:
            private[one.kind.lower()] = {"name": one.name, "uid": one.uid}
        private["serviceaccount"] = {"name": meta["name"], "uid": meta["uid"]}
        if warn_after_seconds:
            private["warnafter"] = now + warn_after_seconds
        claims = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": self.issuer.name,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
            "nbf": now,
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id}), now + seconds


class ServiceAccountTokens:
    """Verifies `Authorization: Bearer` tokens issued by `TokenSigner`."""

    def __init__(
        self,
        public_key_path: Path,
        lookup: Lookup,
        clock: Clock,
        issuer: Issuer = Issuer(),  # noqa: B008
    ) -> None:
        self._public_key = public_key_path.read_text()
        self._lookup = lookup
        self._clock = clock
        self._issuer = issuer
        self._verified: OrderedDict[bytes, dict[str, Any]] = OrderedDict()  # claims whose signature is known good

    async def authenticate(self, request: Request) -> User | None:
        header = request.headers.get("Authorization", "")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        try:
            user, _ = await self.verify(token.strip())
        except InvalidToken:
            raise unauthorized() from None
        return user

    async def verify(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]:
        """(user, audiences the token and the server share).  Raises InvalidToken."""
        try:
            return await self._verify(self._claims(token), audiences)
        except (KeyError, TypeError, AttributeError):
            raise InvalidToken("the claims are not those of a service account token") from None

    async def _verify(self, claims: dict[str, Any], audiences: Sequence[str]) -> tuple[User, list[str]]:
        wanted = tuple(audiences) or self._issuer.accepted_audiences
        shared = [audience for audience in claims["aud"] if audience in wanted]
        if not shared:
            raise InvalidToken(
                f"token audiences {quoted(claims['aud'])} is invalid for the target audiences {quoted(wanted)}"
            )
        now = self._clock.now().timestamp()
        if claims["exp"] <= now:
            raise InvalidToken("service account token has expired")
        if claims["nbf"] > now + _NOT_BEFORE_SKEW_SECONDS:
            raise InvalidToken("service account token is not valid yet")
        return await self._bound_user(claims), shared

    def _claims(self, token: str) -> dict[str, Any]:
        if not token.isascii():
            raise InvalidToken("invalid bearer token")
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
                issuer=list(self._issuer.names),
                options=options,  # type: ignore[arg-type]
            )
        except jwt.PyJWTError as error:
            raise InvalidToken(str(error)) from None
        _check_shape(decoded)
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
        elif "node" in private:  # a pod's token only mentions the node
            await self._must_exist("nodes", "", private["node"], "node")
        if "secret" in private:
            await self._must_exist("secrets", namespace, private["secret"], "secret")
        for kind in ("pod", "node"):
            for part in ("name", "uid"):
                if value := private.get(kind, {}).get(part):
                    extra[f"authentication.kubernetes.io/{kind}-{part}"] = (value,)
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        name = f"system:serviceaccount:{namespace}:{account['name']}"
        return User(name, groups, account["uid"], extra)

    async def _must_exist(self, plural: str, namespace: str, reference: dict[str, str], word: str) -> None:
        found = await self._lookup("", plural, namespace, reference["name"])
        name = f"{namespace}/{reference['name']}" if namespace else reference["name"]
        if found is None or found["metadata"].get("uid") != reference["uid"]:
            raise InvalidToken(f"{word} {name} has been deleted")
        deleted = found["metadata"].get("deletionTimestamp")
        if deleted and parse_time(deleted).timestamp() < self._clock.now().timestamp() - _LEEWAY_SECONDS:
            raise InvalidToken(f"{word} {name} has been deleted")


def _check_shape(claims: dict[str, Any]) -> None:
    """Our signature says it is ours, not that this version wrote it.  Raises InvalidToken."""
    private = claims.get("kubernetes.io")
    fits = isinstance(private, dict) and isinstance(private.get("namespace"), str)
    fits = fits and isinstance(private.get("serviceaccount"), dict)  # type: ignore[union-attr]
    fits = fits and all(isinstance(claims.get(name), int) for name in ("exp", "nbf")) and "jti" in claims
    audiences = claims.get("aud")
    if isinstance(audiences, str):
        claims["aud"] = audiences = [audiences]
    if not fits or not isinstance(audiences, list):
        raise InvalidToken("token does not carry service account claims")
    references = [private[word] for word in ("serviceaccount", "pod", "node", "secret") if word in private]  # type: ignore[index,operator]
    texts = [one.get(part) for one in references if isinstance(one, dict) for part in ("name", "uid")]
    if len(texts) != 2 * len(references) or not all(isinstance(text, str) for text in texts):
        raise InvalidToken("token does not carry service account claims")
