"""`tiphys token create|list|delete`: what a machine shows that wants to join the cluster.

The printed token is ID.SECRET.HASH: a bootstrap token of Kubernetes and the SHA-256 of the cluster's CA key, so that
the machine that joins trusts that CA and no other.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import secrets
import socket
import string
import sys
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from tiphys.cli import flags
from tiphys.cli.duration import seconds
from tiphys.cli.errors import CommandError, ServerError
from tiphys.cli.server import Server, connect
from tiphys.cli.table import TablePrinter
from tiphys.clock import SystemClock

NAMESPACE, TYPE, PREFIX = "kube-system", "bootstrap.kubernetes.io/token", "bootstrap-token-"
PATH = f"/api/v1/namespaces/{NAMESPACE}/secrets"
TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})\.([0-9a-f]{64})")
_LETTERS = string.ascii_lowercase + string.digits
_REACH_SECONDS = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("create", "list", "delete"))
    parser.add_argument("ids", nargs="*", metavar="ID", help="of the tokens to delete")
    parser.add_argument("--ttl", type=seconds, default=24 * 3600.0, metavar="DURATION", help="default 24h; 0: for ever")
    parser.add_argument("--description", default="", metavar="TEXT")
    flags.add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    server = connect(arguments)
    if arguments.action == "delete":
        return _delete(server, arguments.ids)
    if arguments.ids:
        raise CommandError(f"tiphys token {arguments.action} takes no names")
    return _create(server, arguments) if arguments.action == "create" else _list(server)


def ca_hash(certificate: bytes) -> str:
    """SHA-256 of the public key of a PEM certificate, as kubeadm counts it, in hexadecimal."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    key = x509.load_pem_x509_certificate(certificate).public_key()
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def secret(token_id: str, token_secret: str, expiration: str, description: str) -> dict[str, Any]:
    """The Secret of a token; `expiration` "" is never."""
    data = {
        "token-id": token_id,
        "token-secret": token_secret,
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        **({"expiration": expiration} if expiration else {}),
        **({"description": description} if description else {}),
    }
    metadata = {"name": PREFIX + token_id, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": TYPE, "stringData": data}


def _create(server: Server, arguments: argparse.Namespace) -> int:
    from tiphys.api.times import format_time

    ttl = arguments.ttl
    if ttl < 0:
        raise CommandError("--ttl must not be negative")
    if not server.config.ca_data:
        raise CommandError("the kubeconfig names no CA, so no token can carry its hash")
    token_id = "".join(secrets.choice(_LETTERS) for _ in range(6))
    token_secret = "".join(secrets.choice(_LETTERS) for _ in range(16))
    expiration = format_time(SystemClock().now() + timedelta(seconds=ttl)) if ttl else ""
    server.json("POST", PATH, body=secret(token_id, token_secret, expiration, arguments.description))
    address = _address(server)
    token = f"{token_id}.{token_secret}.{ca_hash(server.config.ca_data)}"
    print(f"{token}\n\nOn the machine that joins, type as root:\n  tiphys join {address} --token {token}")
    if not _answers(address):
        print(
            f"Warning: nobody answers at {address}; for other machines, start the cluster with --bind-address 0.0.0.0",
            file=sys.stderr,
        )
    return 0


def _address(server: Server) -> str:
    """Where other machines reach the API server, as the cluster itself says."""
    try:
        subset = server.get("/api/v1/namespaces/default/endpoints/kubernetes")["subsets"][0]
        ip, port = subset["addresses"][0]["ip"], subset["ports"][0]["port"]
    except (ServerError, KeyError, IndexError):
        return server.config.server
    return f"https://[{ip}]:{port}" if ":" in ip else f"https://{ip}:{port}"


def _answers(address: str) -> bool:
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 443), timeout=_REACH_SECONDS).close()
    except OSError:
        return False
    return True


def _list(server: Server) -> int:
    found = server.get(PATH, {"fieldSelector": f"type={TYPE}"})["items"]
    rows = []
    for one in found:
        data = {name: base64.b64decode(value).decode("utf-8", "replace") for name, value in one.get("data", {}).items()}
        usages = [name.removeprefix("usage-bootstrap-") for name in sorted(data) if name.startswith("usage-bootstrap-")]
        rows.append(
            (data.get("token-id", ""), data.get("expiration", "never"), ",".join(usages), data.get("description", ""))
        )
    if not rows:
        print("No tokens; make one with: tiphys token create", file=sys.stderr)
        return 0
    print("\n".join(TablePrinter().lines(("ID", "EXPIRES", "USAGES", "DESCRIPTION"), rows)))
    return 0


def _delete(server: Server, ids: list[str]) -> int:
    if not ids:
        raise CommandError("which token? tiphys token delete ID")
    for text in ids:
        token_id = text.partition(".")[0]
        server.json("DELETE", f"{PATH}/{PREFIX}{token_id}")
        print(f'token "{token_id}" deleted')
    return 0
