"""The issuer of service account tokens as others see it: its name, its key, and the two OIDC documents.

What must stay true: the key's id follows from the public key alone, so every server with the same key names it alike.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from apiserver.dispatch import no_such_path
from apiserver.encoding import dump
from apiserver.request import Request, Response

DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"
CONFIGURATION_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/openid/v1/jwks"
_CACHED = "public, max-age=3600"


@dataclass(frozen=True, slots=True)
class Issuer:
    """`names`: the first signs, all are accepted.  `audiences`: what this server answers to; by default `names`."""

    names: tuple[str, ...] = (DEFAULT_ISSUER,)
    audiences: tuple[str, ...] = ()
    max_seconds: int = 365 * 24 * 3600  # what a TokenRequest gets at most; 0: whatever it asks for

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def accepted_audiences(self) -> tuple[str, ...]:
        return self.audiences or self.names


def load_public_key(pem: bytes) -> rsa.RSAPublicKey:
    """The RSA key of a PEM file, public or private.  Raises ValueError."""
    if b"PRIVATE KEY" in pem:
        private = serialization.load_pem_private_key(pem, None)
        key = private.public_key()
    else:
        key = serialization.load_pem_public_key(pem)
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("the service account key is no RSA key")
    return key


def key_id(key: rsa.RSAPublicKey) -> str:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _base64(hashlib.sha256(der).digest())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class OpenIdDocuments:
    """Serves both documents; `address` is HOST:PORT where others reach this server."""

    def __init__(self, issuer: Issuer, public_key_pem: bytes, address: str) -> None:
        key = load_public_key(public_key_pem)
        numbers = key.public_numbers()
        shown = {
            "use": "sig",
            "kty": "RSA",
            "kid": key_id(key),
            "alg": "RS256",
            "n": _base64(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)),
            "e": _base64(numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8)),
        }
        configuration = {
            "issuer": issuer.name,
            "jwks_uri": f"https://{address}{KEYS_PATH}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        self._documents = {
            CONFIGURATION_PATH: (dump(configuration), "application/json"),
            KEYS_PATH: (dump({"keys": [shown]}), "application/jwk-set+json"),
        }

    async def handle(self, request: Request) -> Response:
        found = self._documents.get(request.path)
        if found is None:
            raise no_such_path()
        return Response(200, found[0], found[1], {"Cache-Control": _CACHED})
