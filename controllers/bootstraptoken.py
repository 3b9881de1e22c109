"""Bootstrap tokens: kube-public/cluster-info says where the cluster is, signed for every token; old tokens go.

Who knows a token can check with its signature that the CA in cluster-info is the cluster's, before trusting it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.endpoints import Endpoints
from tiphys.api.core.secret import Secret
from tiphys.api.times import parse_time
from tiphys.api.yaml_dump import dump
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Environment, Writes
from tiphys.client.errors import ApiError

NAMESPACE, TYPE, PREFIX = "kube-system", "bootstrap.kubernetes.io/token", "bootstrap-token-"
INFO = Key("kube-public", "cluster-info")
KUBECONFIG, SIGNATURE = "kubeconfig", "jws-kubeconfig-"


def fields_of(secret: Secret) -> dict[str, str]:
    """The decoded data of a token Secret; {} for any other Secret."""
    if secret.metadata.namespace != NAMESPACE or secret.type != TYPE:
        return {}
    found = {}
    for name, value in secret.data.items():
        try:
            found[name] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found if PREFIX + found.get("token-id", "") == secret.metadata.name else {}


def expires_in_seconds(fields: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until a token is worth nothing, at most 0 when it is; None: never."""
    if "expiration" not in fields:
        return None
    try:
        return (parse_time(fields["expiration"]) - now).total_seconds()
    except ValueError:
        return 0.0


def signature(content: str, token_id: str, token_secret: str) -> str:
    """A detached JWS (HS256) of `content`: header..signature."""
    header = _encoded(f'{{"alg":"HS256","kid":"{token_id}"}}'.encode())
    signed = f"{header}.{_encoded(content.encode())}".encode()
    return f"{header}..{_encoded(hmac.new(token_secret.encode(), signed, hashlib.sha256).digest())}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signatures(content: str, tokens: list[dict[str, str]], now: datetime) -> dict[str, str]:
    """The entries of cluster-info for all tokens that may sign."""
    found = {}
    for token in tokens:
        left_seconds = expires_in_seconds(token, now)
        if token.get("usage-bootstrap-signing") != "true" or not token.get("token-secret"):
            continue
        if left_seconds is None or left_seconds > 0:
            found[SIGNATURE + token["token-id"]] = signature(content, token["token-id"], token["token-secret"])
    return found


def kubeconfig(server: str, ca: bytes) -> str:
    """Where the cluster is and which CA it has; no credentials."""
    cluster = {"certificate-authority-data": base64.b64encode(ca).decode(), "server": server}
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "clusters": [{"cluster": cluster, "name": ""}],
        "contexts": None,
        "current-context": "",
        "kind": "Config",
        "preferences": {},
        "users": None,
    }
    return dump(document)


class BootstrapSigner(Controller):
    """Makes cluster-info when the server says where others reach it, and keeps its signatures."""

    name: ClassVar = "bootstrap-signer-controller"
    kind = ConfigMap
    reads = (Secret, Endpoints)
    writes = (Writes(ConfigMap, ("create", "patch")),)

    def __init__(self, environment: Environment, ca: bytes = b"") -> None:
        super().__init__(environment)
        self.ca = ca or environment.client.config.ca_data

    def setup(self) -> None:
        self.on(Secret, lambda secret: [INFO] if fields_of(secret) else [])
        self.on(Endpoints, lambda one: [INFO] if one.metadata.name == "kubernetes" else [])

    async def reconcile(self, key: Key) -> float | None:
        if key != INFO:
            return None
        held = self.cache(ConfigMap).get(*INFO)
        if held is None:
            await self._make()
            return None
        content, now = held.data.get(KUBECONFIG), self.clock.now()
        if content is None:
            return None
        tokens = [found for one in self.cache(Secret).list(NAMESPACE) if (found := fields_of(one))]
        wanted = signatures(content, tokens, now)
        present = {name: value for name, value in held.data.items() if name.startswith(SIGNATURE)}
        if present != wanted:
            changed: dict[str, Any] = {**dict.fromkeys(present.keys() - wanted.keys()), **wanted}
            await self.client.patch(ConfigMap, INFO.name, INFO.namespace, {"data": changed})
        ends = [left for one in tokens if (left := expires_in_seconds(one, now)) is not None and left > 0]
        return min(ends) + 0.01 if ends else None

    async def _make(self) -> None:
        endpoints = self.cache(Endpoints).get("default", "kubernetes")
        if endpoints is None or not endpoints.subsets or not endpoints.subsets[0].addresses:
            return
        subset = endpoints.subsets[0]
        address = subset.addresses[0].ip
        host = f"[{address}]" if ":" in address else address
        content = kubeconfig(f"https://{host}:{subset.ports[0].port}", self.ca)
        metadata = {"name": INFO.name, "namespace": INFO.namespace}
        try:
            await self.client.create(ConfigMap.model_validate({"metadata": metadata, "data": {KUBECONFIG: content}}))
        except ApiError as error:
            if not error.already_exists:
                raise


class TokenCleaner(Controller):
    name: ClassVar = "token-cleaner-controller"
    kind = Secret
    writes = (Writes(Secret, ("delete",)),)

    async def reconcile(self, key: Key) -> float | None:
        secret = self.cache(Secret).get(*key)
        fields = {} if secret is None else fields_of(secret)
        if secret is None or not fields:
            return None
        left_seconds = expires_in_seconds(fields, self.clock.now())
        if left_seconds is None or left_seconds > 0:
            return left_seconds
        await self.client.delete(Secret, key.name, key.namespace, uid=secret.metadata.uid)
        return None
