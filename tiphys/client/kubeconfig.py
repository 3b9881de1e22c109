"""kubeconfig files: kubectl's rules for finding, merging and reading them, and writing one for a new cluster.

The first file to name a cluster, user, context or current-context wins.  Relative paths inside a file are relative to
that file.  Inline *-data wins over a path.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tiphys.client.config import ClientConfig


class KubeconfigError(Exception):
    """The configuration is missing, malformed, or does not have the context that was asked for."""


def kubeconfig_paths(path: str | None) -> list[Path]:
    """`path` when given, else every file of $KUBECONFIG, else ~/.kube/config."""
    if path:
        return [Path(path)]
    listed = os.environ.get("KUBECONFIG", "")
    if listed:
        return [Path(part) for part in listed.split(os.pathsep) if part]
    return [Path.home() / ".kube" / "config"]


def load_kubeconfig(path: str | None = None, context: str | None = None) -> ClientConfig:
    """The settings of `context` (default: current-context).  Raises KubeconfigError with what to repair.

    An explicit `path` must exist; missing files of the $KUBECONFIG list are passed over, as kubectl does."""
    merged = _Merged()
    for file in kubeconfig_paths(path):
        if path or file.exists():
            merged.add(file)
    if not merged.files:
        raise KubeconfigError("no configuration found; pass --kubeconfig FILE or run: tiphys up")
    return merged.client_config(context)


class _Merged:
    """The maps of all files; every entry remembers the directory its relative paths start from."""

    def __init__(self) -> None:
        self.files: list[Path] = []
        self.current = ""
        self.entries: dict[str, dict[str, tuple[dict[str, Any], Path]]] = {"cluster": {}, "user": {}, "context": {}}

    def add(self, file: Path) -> None:
        document = _read(file)
        self.files.append(file)
        self.current = self.current or str(document.get("current-context") or "")
        for kind, known in self.entries.items():
            for entry in document.get(kind + "s") or []:
                if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                    raise KubeconfigError(f"{file}: {kind}s: every entry needs a name")
                known.setdefault(entry["name"], (entry.get(kind) or {}, file.parent))

    def _entry(self, kind: str, name: str) -> tuple[dict[str, Any], Path]:
        if name not in self.entries[kind]:
            raise KubeconfigError(f'{kind} "{name}" does not exist in {", ".join(map(str, self.files))}')
        return self.entries[kind][name]

    def client_config(self, context: str | None) -> ClientConfig:
        name = context or self.current
        if not name:
            raise KubeconfigError(f"{self.files[0]}: current-context is not set; pass a context")
        chosen, _ = self._entry("context", name)
        cluster, cluster_dir = self._entry("cluster", str(chosen.get("cluster") or ""))
        user, user_dir = self._entry("user", str(chosen["user"])) if chosen.get("user") else ({}, cluster_dir)
        if not cluster.get("server"):
            raise KubeconfigError(f'cluster "{chosen.get("cluster")}" has no server')
        return ClientConfig(
            server=str(cluster["server"]).rstrip("/"),
            ca_data=_material(cluster, "certificate-authority", cluster_dir),
            insecure_skip_tls_verify=bool(cluster.get("insecure-skip-tls-verify", False)),
            tls_server_name=str(cluster.get("tls-server-name") or ""),
            client_cert_data=_material(user, "client-certificate", user_dir),
            client_key_data=_material(user, "client-key", user_dir),
            token=_token(user, user_dir),
            username=str(user.get("username") or ""),
            password=str(user.get("password") or ""),
            impersonate_user=str(user.get("as") or ""),
            impersonate_groups=tuple(user.get("as-groups") or ()),
            namespace=str(chosen.get("namespace") or "default"),
        )


def _read(file: Path) -> dict[str, Any]:
    try:
        document = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise KubeconfigError(f"{file}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise KubeconfigError(f"{file}: not YAML: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise KubeconfigError(f"{file}: not a kubeconfig: expected a mapping")
    return document


def _material(entry: Mapping[str, Any], field: str, base: Path) -> bytes:
    """`field`-data decoded, or the bytes of the file `field` names, or nothing."""
    data = entry.get(f"{field}-data")
    if data:
        try:
            return base64.b64decode(str(data), validate=True)
        except binascii.Error as error:
            raise KubeconfigError(f"{field}-data: not base64: {error}") from error
    return _file(entry, field, base)


def _file(entry: Mapping[str, Any], field: str, base: Path) -> bytes:
    if not entry.get(field):
        return b""
    path = base / str(entry[field])
    try:
        return path.read_bytes()
    except OSError as error:
        raise KubeconfigError(f"{field}: {path}: {error.strerror}") from error


def _token(user: Mapping[str, Any], base: Path) -> str:
    if user.get("token"):
        return str(user["token"])
    return _file(user, "tokenFile", base).decode("ascii", "replace").strip()


def write_kubeconfig(
    path: str | Path, server: str, ca: bytes, cert: bytes, key: bytes, *, cluster: str = "tiphys", user: str = "admin"
) -> None:
    """Write a kubeconfig with one context `cluster`, all PEM material inside, mode 0600, replaced as a whole."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"certificate-authority-data": _b64(ca), "server": server}}],
        "users": [{"name": user, "user": {"client-certificate-data": _b64(cert), "client-key-data": _b64(key)}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
        "current-context": cluster,
    }
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as stream:
        yaml.safe_dump(document, stream, sort_keys=False)
    draft.replace(target)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
