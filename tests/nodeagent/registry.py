"""A real registry for tests: Debian's docker-registry on a free loopback port, with own storage, users, CA or tokens.

Use `with Registry(directory) as registry:`; it is stopped, and can be started again on the same port and storage.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from nodeagent.images.layout import BuiltImage, push_image

USER, PASSWORD = "alice", "correct horse"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require(program: str, package: str) -> str:
    found = shutil.which(program)
    assert found, f"{program} is missing: apt-get install {package}"
    return found


class TokenServer:
    """Hands out registry tokens: anyone for repositories below public/, USER with PASSWORD for the others."""

    def __init__(self, directory: Path, service: str) -> None:
        self.requests: list[tuple[str, str]] = []  # (query, Authorization)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = directory / "token.crt"
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
        certificate = _sign(name, name, self._key.public_key(), self._key, ca=True)
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                authorization = self.headers.get("Authorization", "")
                outer.requests.append((self.path, authorization))
                access = []
                for scope in query.get("scope", []):
                    kind, repository, actions = scope.split(":")
                    allowed = actions.split(",") if authorization == basic(USER, PASSWORD) else []
                    if repository.startswith("public/"):
                        allowed = allowed or ["pull"]
                    access.append({"type": kind, "name": repository, "actions": allowed})
                if authorization and authorization != basic(USER, PASSWORD):
                    self.send_response(401)
                    self.end_headers()
                    return
                now = datetime.now(UTC)
                claims = {
                    "iss": "test-tokens", "sub": USER, "aud": service, "access": access,
                    "iat": now, "nbf": now - timedelta(seconds=5), "exp": now + timedelta(minutes=5),
                }  # fmt: skip
                token = jwt.encode(claims, outer._key, algorithm="RS256", headers={"x5c": [der]})
                body = json.dumps({"token": token}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Registry:
    def __init__(self, directory: Path, *, auth: str = "", tls: bool = False, port: int = 0) -> None:
        """`auth` is "", "basic" or "token".  With `tls`, `ca_file` is what a client has to trust."""
        self.directory = directory
        self.host = f"127.0.0.1:{port or free_port()}"
        self.auth = auth
        self.ca_file: Path | None = None
        self.tokens: TokenServer | None = None
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(directory / "storage")}, "delete": {"enabled": True}},
            "http": {"addr": self.host},
        }
        if tls:
            self.ca_file = self._make_certificates(config)
        if auth == "basic":
            users = directory / "htpasswd"
            htpasswd = require("htpasswd", "apache2-utils")
            users.write_bytes(
                subprocess.run([htpasswd, "-Bbn", USER, PASSWORD], check=True, capture_output=True).stdout
            )
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(users)}}
        if auth == "token":
            self.tokens = TokenServer(directory, "test-registry")
            config["auth"] = {
                "token": {
                    "realm": self.tokens.url, "service": "test-registry", "issuer": "test-tokens",
                    "rootcertbundle": str(self.tokens.certificate),
                }
            }  # fmt: skip
        self._config = directory / "config.yml"
        self._config.write_text(json.dumps(config))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self.tokens:
            self.tokens.close()

    @property
    def base_url(self) -> str:
        return f"{'https' if self.ca_file else 'http'}://{self.host}"

    def start(self) -> None:
        program = require("docker-registry", "docker-registry")
        log = (self.directory / "log").open("ab")
        self._process = subprocess.Popen([program, "serve", self._config], stdout=log, stderr=log)
        log.close()
        name, _, port = self.host.partition(":")
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection((name, int(port)), timeout=1).close()
                return
            except OSError:
                text = (self.directory / "log").read_text()
                assert self._process.poll() is None and time.monotonic() < deadline, text
                time.sleep(0.02)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def push(self, image: BuiltImage, repository: str, tag: str = "latest") -> str:
        """Returns the image name to pull."""
        if self.tokens or self.ca_file:
            self._push_unguarded(image, repository, tag)
        else:
            authorization = basic(USER, PASSWORD) if self.auth == "basic" else ""
            push_image(image, self.base_url, repository, tag, authorization=authorization)
        return f"{self.host}/{repository}:{tag}"

    def _push_unguarded(self, image: BuiltImage, repository: str, tag: str) -> None:
        """Through a second, plain registry over the same storage."""
        plain = Registry(self.directory / "plain")
        config = json.loads(plain._config.read_text())
        config["storage"]["filesystem"]["rootdirectory"] = str(self.directory / "storage")
        plain._config.write_text(json.dumps(config))
        with plain:
            plain.push(image, repository, tag)

    def _make_certificates(self, config: dict[str, Any]) -> Path:
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])
        ca = _sign(ca_name, ca_name, ca_key.public_key(), ca_key, ca=True)
        leaf = _sign(name, ca_name, key.public_key(), ca_key, ca=False)
        pem = serialization.Encoding.PEM
        ca_file, leaf_file, key_file = (self.directory / file for file in ("ca.crt", "tls.crt", "tls.key"))
        ca_file.write_bytes(ca.public_bytes(pem))
        leaf_file.write_bytes(leaf.public_bytes(pem))
        key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        config["http"]["tls"] = {"certificate": str(leaf_file), "key": str(key_file)}
        return ca_file


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _sign(subject: x509.Name, issuer: x509.Name, public_key: Any, key: Any, *, ca: bool) -> x509.Certificate:
    import ipaddress

    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())
