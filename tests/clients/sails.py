"""A custom kind for tests of clients: Sail, with status, scale, defaults, printer columns and a rule."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.running import RunningCluster

GROUP, VERSION, KIND, PLURAL = "clients.example.com", "v1", "Sail", "sails"
API_VERSION = f"{GROUP}/{VERSION}"
NAME = f"{PLURAL}.{GROUP}"

_INTEGER = {"type": "integer"}
_CONDITIONS = {
    "type": "array",
    "items": {"type": "object", "properties": {"type": {"type": "string"}, "status": {"type": "string"}}},
}
_SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["cloth"],
            "properties": {
                "cloth": {"type": "string", "minLength": 3},
                "replicas": {**_INTEGER, "default": 1, "maximum": 9},
            },
        },
        "status": {"type": "object", "properties": {"replicas": _INTEGER, "conditions": _CONDITIONS}},
    },
}
_SCALE = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
SPEC: dict[str, Any] = {
    "group": GROUP,
    "scope": "Namespaced",
    "names": {"plural": PLURAL, "singular": "sail", "kind": KIND, "listKind": "SailList", "shortNames": ["sl"]},
    "versions": [
        {
            "name": VERSION,
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": _SCHEMA},
            "subresources": {"status": {}, "scale": _SCALE},
            "additionalPrinterColumns": [{"name": "Cloth", "type": "string", "jsonPath": ".spec.cloth"}],
        }
    ],
}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": NAME},
    "spec": SPEC,
}
READY = {"status": {"replicas": 1, "conditions": [{"type": "Ready", "status": "True"}]}}


def sail(name: str, cloth: str = "linen") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": {"cloth": cloth}}


def install(cluster: RunningCluster) -> None:
    """Back when the kind is Established."""
    cluster.ok("apply", "-f", "-", stdin=json.dumps(DEFINITION))
    cluster.ok("wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=30s")
