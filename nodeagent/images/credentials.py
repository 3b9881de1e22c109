"""Registry credentials: reading dockerconfigjson and dockercfg Secrets, and which credential fits which image.

Matching follows the kubelet's keyring: globs per host label (`*.example.com`), exact port, path by prefix, most
specific key first.  What must stay true: a credential is only ever offered to a registry its key matches, and never
printed."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from nodeagent.images.reference import Reference

_MAX_BYTES = 1 << 20
_GLOB = re.compile(r"[A-Za-z0-9.*?\[\]-]+")


@dataclass(frozen=True)
class Credential:
    """`registry` is the key as written: "host[:port][/path]", a scheme and globs allowed."""

    registry: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)  # an OAuth2 refresh token instead of name and password
    registry_token: str = field(default="", repr=False)  # a bearer token to present as it is


class CredentialError(ValueError):
    """A Secret's content that is no credential document; the text names no secret."""


def parse_docker_config_json(data: bytes) -> list[Credential]:
    """The value of `.dockerconfigjson`.  Raises CredentialError."""
    document = _object(data)
    auths = document.get("auths", {})
    if not isinstance(auths, dict):
        raise CredentialError("auths must be an object")
    return _entries(auths)


def parse_docker_cfg(data: bytes) -> list[Credential]:
    """The value of `.dockercfg`.  Raises CredentialError."""
    return _entries(_object(data))


def credentials_from_secret(kind: str, data: Mapping[str, bytes]) -> list[Credential]:
    """Of a Secret by its type; [] for a Secret of another type or without the key."""
    if kind == "kubernetes.io/dockerconfigjson" and ".dockerconfigjson" in data:
        return parse_docker_config_json(data[".dockerconfigjson"])
    if kind == "kubernetes.io/dockercfg" and ".dockercfg" in data:
        return parse_docker_cfg(data[".dockercfg"])
    return []


def matching(credentials: Sequence[Credential], reference: Reference) -> list[Credential]:
    """Those whose key matches the image's repository, most specific key first (as the kubelet tries them)."""
    names = [reference.repository]
    if reference.domain == "docker.io":
        names += [f"{host}/{reference.path}" for host in ("index.docker.io", "registry-1.docker.io")]
    found = [c for c in credentials if any(key_matches(c.registry, name) for name in names)]
    return sorted(found, key=lambda c: strip_key(c.registry), reverse=True)


def key_matches(key: str, repository: str) -> bool:
    """Does "host[:port][/path]" with globs match "host[:port]/path"?"""
    host, _, path = strip_key(key).partition("/")
    image_host, _, image_path = repository.partition("/")
    name, port = _host_port(host)
    image_name, image_port = _host_port(image_host)
    if port != image_port:
        return False
    labels, image_labels = name.split("."), image_name.split(".")
    if len(labels) != len(image_labels):
        return False
    if not all(_label_matches(*pair) for pair in zip(labels, image_labels, strict=True)):
        return False
    return image_path.startswith(path)


def strip_key(key: str) -> str:
    """ "https://index.docker.io/v1/" -> "index.docker.io"."""
    bare = key.strip()
    for scheme in ("https://", "http://"):
        bare = bare.removeprefix(scheme)
    host, _, path = bare.partition("/")
    return host if path.rstrip("/") in ("", "v1", "v2") else f"{host}/{path}".rstrip("/")


def _host_port(host: str) -> tuple[str, str]:
    if host.startswith("["):
        name, _, port = host.partition("]")
        return name + "]", port.removeprefix(":")
    name, _, port = host.partition(":")
    return name, port


def _label_matches(pattern: str, label: str) -> bool:
    if "*" not in pattern and "?" not in pattern:
        return pattern == label
    return _GLOB.fullmatch(pattern) is not None and pattern.count("*") <= 4 and fnmatch.fnmatchcase(label, pattern)


def _object(data: bytes) -> dict[str, Any]:
    if len(data) > _MAX_BYTES:
        raise CredentialError("longer than 1 MiB")
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise CredentialError("not valid JSON") from None
    if not isinstance(document, dict):
        raise CredentialError("not an object")
    return document


def _entries(auths: Mapping[str, Any]) -> list[Credential]:
    found = []
    for registry, entry in auths.items():
        if not isinstance(entry, dict):
            raise CredentialError(f"entry {registry!r:.100} is not an object")
        username, password = _text(entry, "username"), _text(entry, "password")
        if auth := _text(entry, "auth"):
            username, password = _decode_auth(auth, registry)
        credential = Credential(
            registry, username, password, _text(entry, "identitytoken"), _text(entry, "registrytoken")
        )
        if username or credential.identity_token or credential.registry_token:
            found.append(credential)
    return found


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str) or any(c in value for c in "\r\n\0"):
        raise CredentialError(f"{key} must be a string of one line")
    return value


def _decode_auth(auth: str, registry: str) -> tuple[str, str]:
    try:
        padded = auth.strip().rstrip("=")
        text = base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise CredentialError(f"auth of {registry!r:.100} is not base64") from None
    username, colon, password = text.partition(":")
    password = password.rstrip("\0")
    if not colon or any(c in text.rstrip("\0") for c in "\r\n\0"):
        raise CredentialError(f"auth of {registry!r:.100} is not name:password")
    return username, password
