"""What an image is once it is on the node, and the reading of its hostile configuration.

What must stay true: an ImageConfig holds only values of the declared types, free of NUL; a configuration that cannot
be meant honestly is refused with the field's name, never guessed at.  Labels are data for people and never become
settings."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from nodeagent.images.errors import HostileContentError
from nodeagent.images.reference import is_digest

MAX_LAYERS = 128
_MAX_ITEMS = 10_000
_MAX_ID = 2**31 - 1
_SIGNAL = re.compile(r"(?:SIG)?[A-Z][A-Z0-9]*(?:[+-][0-9]{1,2})?|[0-9]{1,2}")
_PORT = re.compile(r"[0-9]{1,5}(?:-[0-9]{1,5})?(?:/(?:tcp|udp|sctp))?")
_USER = re.compile(r"[^\x00-\x20:/\x7f]{1,256}(?::[^\x00-\x20:/\x7f]{1,256})?")


@dataclass(frozen=True)
class Platform:
    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def host_platform() -> Platform:
    machine = os.uname().machine
    known = {
        "x86_64": ("amd64", ""),
        "aarch64": ("arm64", "v8"),
        "armv7l": ("arm", "v7"),
        "armv6l": ("arm", "v6"),
        "i686": ("386", ""),
    }
    architecture, variant = known.get(machine, (machine, ""))
    return Platform("linux", architecture, variant)


@dataclass(frozen=True)
class ImageConfig:
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()  # "NAME=value"
    working_dir: str = ""  # absolute, or "" for "/"
    user: str = ""  # "name", "uid", either with ":group"
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    volumes: tuple[str, ...] = ()  # absolute, normal paths
    exposed_ports: tuple[str, ...] = ()  # "80/tcp"


@dataclass(frozen=True)
class Image:
    id: str  # "sha256:<digest of the configuration>"
    repo_tags: tuple[str, ...]
    repo_digests: tuple[str, ...]
    size: int  # bytes in the registry: manifest, configuration and compressed layers
    config: ImageConfig
    layers: list[Path]  # unpacked directories, bottom first
    pulled_at: str = ""


@dataclass(frozen=True)
class ParsedConfig:
    """A configuration blob: what runs, what it runs on, and the digests of the uncompressed layers, bottom first."""

    config: ImageConfig
    platform: Platform
    diff_ids: tuple[str, ...]


def parse_config(body: bytes) -> ParsedConfig:
    """Raises HostileContentError."""
    document = json_object(body, "image config")
    rootfs = _mapping(document.get("rootfs"), "rootfs")
    if rootfs.get("type", "layers") != "layers":
        raise HostileContentError(f"invalid image config: rootfs.type {rootfs.get('type')!r:.40} is not supported")
    diff_ids = _strings(rootfs.get("diff_ids"), "rootfs.diff_ids")
    if len(diff_ids) > MAX_LAYERS:
        raise HostileContentError(f"invalid image config: {len(diff_ids)} layers, at most {MAX_LAYERS} are supported")
    for diff_id in diff_ids:
        if not is_digest(diff_id):
            raise HostileContentError(f"invalid image config: rootfs.diff_ids: {diff_id!r:.100} is not a digest")
    platform = Platform(
        _string(document.get("os"), "os"),
        _string(document.get("architecture"), "architecture"),
        _string(document.get("variant"), "variant"),
    )
    return ParsedConfig(_container_config(_mapping(document.get("config"), "config")), platform, diff_ids)


def _container_config(values: Mapping[str, Any]) -> ImageConfig:
    env = _strings(values.get("Env"), "config.Env")
    for item in env:
        if item.find("=") < 1:
            raise HostileContentError(f"invalid image config: config.Env: {item!r:.100} is not NAME=value")
    labels = _mapping(values.get("Labels"), "config.Labels")
    return ImageConfig(
        entrypoint=_strings(values.get("Entrypoint"), "config.Entrypoint"),
        cmd=_strings(values.get("Cmd"), "config.Cmd"),
        env=env,
        working_dir=_working_dir(_string(values.get("WorkingDir"), "config.WorkingDir")),
        user=_user(_string(values.get("User"), "config.User")),
        labels={_string(k, "config.Labels"): _string(v, "config.Labels") for k, v in labels.items()},
        stop_signal=_matching(_SIGNAL, _string(values.get("StopSignal"), "config.StopSignal"), "config.StopSignal"),
        volumes=tuple(_volume(path) for path in _mapping(values.get("Volumes"), "config.Volumes")),
        exposed_ports=tuple(
            _matching(_PORT, port, "config.ExposedPorts")
            for port in _mapping(values.get("ExposedPorts"), "config.ExposedPorts")
        ),
    )


def json_object(body: bytes, what: str) -> dict[str, Any]:
    """A JSON object, strictly (orjson bounds depth and refuses NaN and lone surrogates)."""
    try:
        document = orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise HostileContentError(f"invalid {what}: {error}") from None
    if not isinstance(document, dict):
        raise HostileContentError(f"invalid {what}: not an object")
    return document


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > _MAX_ITEMS:
        raise HostileContentError(f"invalid image config: {name} must be an object")
    return value


def _string(value: object, name: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise HostileContentError(f"invalid image config: {name} must be a string without NUL")
    return value


def _strings(value: object, name: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > _MAX_ITEMS or None in value:
        raise HostileContentError(f"invalid image config: {name} must be a list of strings")
    return tuple(_string(item, name) for item in value)


def _matching(pattern: re.Pattern[str], value: str, name: str) -> str:
    if value and not pattern.fullmatch(value):
        raise HostileContentError(f"invalid image config: {name}: invalid value {value!r:.100}")
    return value


def _user(value: str) -> str:
    _matching(_USER, value, "config.User")
    for part in value.split(":"):
        # an id that does not fit wraps round to another user, root included, in a careless reader
        if re.fullmatch(r"[+-]?\d+", part) and not (part.isascii() and part.isdigit() and int(part) <= _MAX_ID):
            raise HostileContentError(f"invalid image config: config.User: {value!r:.100} is out of range")
    return value


def _working_dir(value: str) -> str:
    if not value:
        return ""
    path = posixpath.normpath("/" + value)
    path = "/" + path.lstrip("/")
    if path == "/proc" or path.startswith("/proc/"):
        raise HostileContentError(f"invalid image config: config.WorkingDir: {value!r:.100} is below /proc")
    return path


def _volume(value: str) -> str:
    if (
        not value.startswith("/")
        or "\0" in value
        or ".." in value.split("/")
        or posixpath.normpath(value) in ("/", "//")
    ):
        raise HostileContentError(f"invalid image config: config.Volumes: invalid path {value!r:.100}")
    return "/" + posixpath.normpath(value).lstrip("/")
