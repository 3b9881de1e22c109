"""Pods of the node rows, as dictionaries: one container around a shell script or an agnhost command."""

from __future__ import annotations

from typing import Any

from tests.conformance.api import Object

# Process 1 gets no signal without a handler: a shell that ends on SIGTERM keeps the tests fast.
SLEEP = "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done"
MODE_0644 = "-rw-r--r--"
MODE_0400 = "-r--------"


def container(image: str, *args: str, name: str = "main", **fields: Any) -> Object:
    """The image's entrypoint with `args`."""
    return {"name": name, "image": image, **({"args": list(args)} if args else {}), **fields}


def shell(image: str, script: str = SLEEP, name: str = "main", **fields: Any) -> Object:
    return {"name": name, "image": image, "command": ["/bin/sh", "-c", script], **fields}


def pod(name: str, *containers: Object, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    """With one second of grace; `spec` overrides."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"name": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": list(containers), **spec},
    }


def once(name: str, *containers: Object, **spec: Any) -> Object:
    """A pod that runs to its end."""
    return pod(name, *containers, **{"restartPolicy": "Never", **spec})


def mount(name: str, path: str, **fields: Any) -> Object:
    return {"name": name, "mountPath": path, **fields}


def field_env(name: str, path: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def resource_env(name: str, resource: str) -> Object:
    return {"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource}}}
