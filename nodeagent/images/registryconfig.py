"""How registries are reached, as a file says it."""

from __future__ import annotations

from pathlib import Path

import orjson

from nodeagent.images.transport import RegistryConfig


def registry_config(path: Path | None, network: Path | None = None) -> RegistryConfig:
    """A JSON file {"insecure": [host], "mirrors": {domain: [url]}, "caFiles": {host: file}}.

    Raises ValueError, OSError.
    """
    document = orjson.loads(path.read_bytes()) if path is not None else {}
    return RegistryConfig(
        insecure=frozenset(document.get("insecure", ())),
        ca_files={host: Path(file) for host, file in document.get("caFiles", {}).items()},
        mirrors={domain: tuple(urls) for domain, urls in document.get("mirrors", {}).items()},
        network=network,
    )
