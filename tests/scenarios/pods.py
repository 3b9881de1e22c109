"""Manifests and images of the scenario tests: busybox on real layers, pods and deployments around it."""

from __future__ import annotations

from typing import Any

from nodeagent.images.layout import BuiltImage, LayerBuilder, build_image
from nodeagent.images.push_example import base_layer
from tests.machine import Object

# Process 1 gets no signal without a handler: a shell that ends on SIGTERM keeps the tests fast.
SLEEPER = "trap 'exit 0' TERM; while true; do sleep 0.1; done"


def busybox_image(**files: str) -> BuiltImage:
    """busybox, and a layer with /data/NAME for each keyword."""
    layer = LayerBuilder().directory("data")
    for name, text in files.items():
        layer.file(f"data/{name}", text)
    return build_image([base_layer(), layer.build()], {"Cmd": ["/bin/sh", "-c", SLEEPER]})


def whiteout_image() -> BuiltImage:
    """Three layers: the second deletes a file, hides a directory's old contents, and replaces a file by a directory."""
    lower = LayerBuilder().directory("data").file("data/kept", "kept").file("data/deleted", "deleted")
    lower.directory("opaque").file("opaque/old", "old").file("changed", "was a file")
    upper = LayerBuilder().file("data/.wh.deleted", "").directory("opaque").file("opaque/.wh..wh..opq", "")
    upper.file("opaque/new", "new").directory("changed").file("changed/inside", "inside")
    return build_image([base_layer(), lower.build(), upper.build()], {"Cmd": ["/bin/sh", "-c", SLEEPER]})


def container(image: str, script: str = SLEEPER, name: str = "main", **fields: Any) -> Object:
    return {"name": name, "image": image, "command": ["/bin/sh", "-c", script], **fields}


def pod(name: str, *containers: Object, **spec: Any) -> Object:
    """Without a service account token, with two seconds of grace; `spec` overrides."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"run": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 2,
            "containers": list(containers),
            **spec,
        },
    }


def deployment(name: str, replicas: int, *containers: Object, **spec: Any) -> Object:
    template = pod(name, *containers, **spec)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"run": name}},
            "template": {"metadata": {"labels": {"run": name}}, "spec": template["spec"]},
        },
    }


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
