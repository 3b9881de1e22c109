"""Bearer tokens: bent ones, and ones signed with the right key whose claims are not what they should be."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from apiserver.authentication.serviceaccount import ISSUER, InvalidToken, ServiceAccountTokens, TokenSigner
from apiserver.request import Request
from apiserver.requestinfo import parse_request_info
from tests.fuzz.fuzzing import PIECES, VALUES, fuzz, mutated_text, mutated_value
from tiphys import pki
from tiphys.api.status import StatusError
from tiphys.clock import SystemClock

ACCOUNT = {"metadata": {"name": "default", "namespace": "default", "uid": "u"}}
NAMES = (
    "aud",
    "exp",
    "iat",
    "iss",
    "nbf",
    "sub",
    "kubernetes.io",
    "namespace",
    "serviceaccount",
    "pod",
    "node",
    "secret",
    "jti",
)


async def lookup(group: str, plural: str, namespace: str, name: str) -> dict[str, Any] | None:
    return ACCOUNT if plural == "serviceaccounts" and isinstance(name, str) else None


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def _no_body() -> bytes:
    return b""


def test_tokens(tmp_path: Path) -> None:
    clock = SystemClock()
    pki.ensure(tmp_path, pki.cluster_identities(["127.0.0.1"]), clock)
    good, _ = TokenSigner(tmp_path / "sa.key", clock).issue(ACCOUNT, audiences=[ISSUER], seconds=3600)
    key = load_pem_private_key((tmp_path / "sa.key").read_bytes(), None)  # once: reading it costs more than signing
    assert isinstance(key, RSAPrivateKey)
    tokens = ServiceAccountTokens(tmp_path / "sa.pub", lookup, clock)
    header, claims = jwt.get_unverified_header(good), jwt.decode(good, options={"verify_signature": False})
    values = (*VALUES, 10**12, ISSUER, [ISSUER], {"name": "default", "uid": "u"}, {"name": ["x"]}, {"name": "default"})
    bend_claims, bend_header = (
        mutated_value([claims], values, NAMES),
        mutated_value([header], values, ("alg", "kid", "b64")),
    )
    bend_text = mutated_text([good], (*PIECES, ".", "..", "=", "-_", "\udc80\udcff"))
    signed: list[str] = []
    source_of_signed = random.Random(3)
    while len(signed) < 300:  # signing costs more than everything else here
        made = bend_claims(source_of_signed)
        if isinstance(made, dict):
            try:
                signed.append(jwt.encode(made, key, algorithm="RS256"))
            except (TypeError, ValueError):
                continue

    def make(source: random.Random) -> str:
        if source.random() < 0.4:
            return source.choice(signed)
        if source.random() < 0.5:
            return bend_text(source)
        return f"{_part(bend_header(source))}.{_part(bend_claims(source))}.{good.rpartition('.')[2]}"

    with asyncio.Runner() as runner:

        def parse(token: str) -> None:
            request = Request(
                "GET", parse_request_info("GET", "/", {}), {}, {"Authorization": f"Bearer {token}"}, _no_body
            )
            try:
                runner.run(tokens.authenticate(request))
            except StatusError as error:
                assert error.code == 401

        known = [
            good,
            "a" * 1_000_000,
            "." * 100_000,
            f"{_part({'alg': 'none'})}.{_part(claims)}.",
            "[" * 10_000 + "." * 2,
        ]
        fuzz(parse, make, allowed=InvalidToken, known=[*known, *signed])
