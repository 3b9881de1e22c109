"""Legacy tokens: a Secret of type kubernetes.io/service-account-token gets a token of the account it names.

The Secret says the account in an annotation; the token never expires and lives as long as the Secret does.  A Secret
whose account is gone, or is another one by now, is deleted.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import ClassVar

import jwt

from tiphys.api.core.secret import Secret
from tiphys.api.core.serviceaccount import ServiceAccount
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Environment, Writes

TYPE = "kubernetes.io/service-account-token"
ACCOUNT, ACCOUNT_UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
ISSUER = "kubernetes/serviceaccount"


def claims(secret: Secret, account: ServiceAccount) -> dict[str, str]:
    namespace, name = account.metadata.namespace, account.metadata.name
    return {
        "iss": ISSUER,
        f"{ISSUER}/namespace": namespace,
        f"{ISSUER}/secret.name": secret.metadata.name,
        f"{ISSUER}/service-account.name": name,
        f"{ISSUER}/service-account.uid": account.metadata.uid,
        "sub": f"system:serviceaccount:{namespace}:{name}",
    }


def missing_data(secret: Secret, ca: bytes, token: str) -> Mapping[str, str]:
    """What the Secret lacks, as base64."""
    wanted = {"ca.crt": ca, "namespace": secret.metadata.namespace.encode(), "token": token.encode()}
    encoded = {name: base64.b64encode(value).decode() for name, value in wanted.items()}
    return {name: value for name, value in encoded.items() if secret.data.get(name) != value}


def is_orphaned(secret: Secret, account: ServiceAccount | None) -> bool:
    """The account the Secret was made for is not there any more."""
    uid = secret.metadata.annotations.get(ACCOUNT_UID, "")
    if account is None:
        return bool(uid)
    return bool(uid) and uid != account.metadata.uid


class LegacyTokenController(Controller):
    name: ClassVar = "service-account-token-controller"
    kind = Secret
    reads = (ServiceAccount,)
    writes = (Writes(Secret, ("patch", "delete")), Writes(ServiceAccount, ("get",)))

    def __init__(self, environment: Environment, key: str = "", ca: bytes = b"") -> None:
        super().__init__(environment)
        self.ca = ca or environment.client.config.ca_data
        if not key and environment.pki_dir is not None:
            key = (environment.pki_dir / "sa.key").read_text()
        self._key = key

    def setup(self) -> None:
        self.on(ServiceAccount, self._secrets_of)

    def _secrets_of(self, account: ServiceAccount) -> Iterable[Key]:
        for secret in self.cache(Secret).list(account.metadata.namespace):
            if secret.type == TYPE and secret.metadata.annotations.get(ACCOUNT) == account.metadata.name:
                yield Key(secret.metadata.namespace, secret.metadata.name)

    async def reconcile(self, key: Key) -> float | None:
        secret = self.cache(Secret).get(*key)
        if secret is None or secret.type != TYPE or secret.metadata.deletionTimestamp:
            return None
        name = secret.metadata.annotations.get(ACCOUNT, "")
        account = self.cache(ServiceAccount).get(key.namespace, name)
        if is_orphaned(secret, account):
            await self.client.delete(Secret, key.name, key.namespace, uid=secret.metadata.uid)
            return None
        if account is None or not self._key:
            return None
        token = jwt.encode(claims(secret, account), self._key, algorithm="RS256")
        data = missing_data(secret, self.ca, token)
        patch: dict[str, object] = {"data": data} if data else {}
        if secret.metadata.annotations.get(ACCOUNT_UID) != account.metadata.uid:
            patch["metadata"] = {"annotations": {ACCOUNT_UID: account.metadata.uid}}
        if patch:
            await self.client.patch(Secret, key.name, key.namespace, patch)
        return None
