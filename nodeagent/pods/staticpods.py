"""Static pods: manifests in a directory of the node, run without being asked by the API.

    DIR/*.yaml *.yml *.json    one Pod each; names with a leading dot are left out

What must stay true: a file that cannot be read or is not a Pod is logged and left out, never the others; the same
content is the same pod (uid) whenever it is read, so a restarted agent finds its containers; no polling (inotify).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodeagent.runtime import syscalls
from tiphys.api.core.pod import Pod
from tiphys.api.core.pod_validation import validate
from tiphys.api.declaration import struct_of
from tiphys.api.decode import decode
from tiphys.api.defaults import apply_defaults
from tiphys.api.status import StatusError
from tiphys.api.yaml import YamlError, load_documents
from tiphys.logs import fields

_log = logging.getLogger(__name__)

SOURCE, HASH, MIRROR, SEEN = (f"kubernetes.io/config.{name}" for name in ("source", "hash", "mirror", "seen"))
MOST_BYTES = 3 << 20
_SUFFIXES = (".yaml", ".yml", ".json")
_CHANGED = 0x8 | 0x40 | 0x80 | 0x200 | 0x100  # close after write, moved from, moved to, deleted, created
_SETTLE_SECONDS = 0.05


class BadManifest(ValueError):
    """The file is no static pod; the text says why."""


def read_directory(directory: Path, node_name: str) -> list[Pod]:
    """The pods of all manifests, by file name; of two with the same name the first counts."""
    found: dict[tuple[str, str], Pod] = {}
    try:
        files = sorted(entry for entry in directory.iterdir() if entry.suffix in _SUFFIXES)
    except OSError as error:
        _log.warning("the directory of static pods cannot be read", extra=fields(directory=directory, cause=error))
        return []
    for file in files:
        if file.name.startswith("."):
            continue
        try:
            pod = static_pod(_read(file), node_name)
        except (OSError, BadManifest) as error:
            _log.warning("a static pod cannot be read", extra=fields(file=file, cause=error))
            continue
        key = (pod.metadata.namespace, pod.metadata.name)
        if key in found:
            _log.warning("two static pods have one name", extra=fields(file=file, pod=pod.metadata.name))
        found.setdefault(key, pod)
    return list(found.values())


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise BadManifest(f"larger than {MOST_BYTES} bytes")
    return data


def static_pod(data: bytes, node_name: str) -> Pod:
    """The pod of one manifest as this node runs it.  Raises BadManifest."""
    schema = struct_of(Pod)
    try:
        documents = [document.value for document in load_documents(data)]
        if len(documents) != 1 or not isinstance(documents[0], dict):
            raise BadManifest("there must be exactly one object")
        given = documents[0]
        if (given.get("apiVersion"), given.get("kind")) != ("v1", "Pod"):
            raise BadManifest("not a v1 Pod")
        obj = decode(given, schema, kind_label="Pod").value
    except (StatusError, YamlError) as error:
        raise BadManifest(str(error)) from error
    metadata, spec = obj.setdefault("metadata", {}), obj.setdefault("spec", {})
    obj.pop("status", None)
    digest = hashlib.md5(data + b"\0" + node_name.encode(), usedforsecurity=False).hexdigest()
    metadata["name"] = f"{metadata.get('name', '')}-{node_name}".lower()
    metadata.setdefault("namespace", "default")
    metadata["uid"] = digest
    metadata["annotations"] = {**metadata.get("annotations", {}), SOURCE: "file", HASH: digest}
    for field in ("generateName", "ownerReferences", "deletionTimestamp", "deletionGracePeriodSeconds"):
        metadata.pop(field, None)
    spec["nodeName"] = node_name
    spec["tolerations"] = [*spec.get("tolerations", []), {"operator": "Exists", "effect": "NoExecute"}]
    apply_defaults(obj, schema)
    problems = [error.detail for error in validate(obj)] + _references(obj)
    if problems:
        raise BadManifest("; ".join(problems))
    return Pod.model_validate(obj)


def _references(obj: dict[str, Any]) -> list[str]:
    """A static pod may refer to no object of the API, which may not be there."""
    spec = obj["spec"]
    problems = []
    if spec.get("serviceAccountName"):
        problems.append("a static pod may not refer to a service account")
    for volume in spec.get("volumes") or []:
        for kind in ("secret", "configMap", "persistentVolumeClaim"):
            if volume.get(kind) is not None:
                problems.append(f"volume {volume.get('name')!r}: a static pod may not refer to a {kind}")
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        sources = [*(container.get("envFrom") or []), *(v.get("valueFrom") or {} for v in container.get("env") or [])]
        names = {"configMapRef", "secretRef", "configMapKeyRef", "secretKeyRef"}
        if any(names & set(source) for source in sources):
            problems.append(f"container {container.get('name')!r}: a static pod may not refer to ConfigMaps or Secrets")
    return problems


class ManifestDirectory:
    """Calls `changed(pods)` at the start and after every change of the directory."""

    def __init__(self, directory: Path, node_name: str, changed: Callable[[list[Pod]], None]) -> None:
        self._directory, self._node_name, self._changed = directory, node_name, changed
        self._fd = -1
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Raises OSError when there is no such directory and none can be made."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fd = syscalls.inotify_init()
        syscalls.inotify_add_watch(self._fd, str(self._directory), _CHANGED)
        asyncio.get_running_loop().add_reader(self._fd, self._ready)
        self._look()

    def _ready(self) -> None:
        """Several changes come together: a moment later all of them are read."""
        os.read(self._fd, 65536)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SETTLE_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        self._changed(read_directory(self._directory, self._node_name))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
