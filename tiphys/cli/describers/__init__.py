"""One file per kind of description.  A describer returns lines whose cells are divided by tabs."""

from __future__ import annotations

import importlib
from typing import Any

from tiphys.cli.resources import ResourceType
from tiphys.cli.server import Server
from tiphys.clock import Clock

_MODULES = {
    ("", "Pod"): "pod",
    ("", "Node"): "node",
    ("", "Service"): "service",
    ("", "ConfigMap"): "data",
    ("", "Secret"): "data",
    ("", "Namespace"): "namespace",
    ("", "ServiceAccount"): "serviceaccount",
    ("apps", "Deployment"): "workload",
    ("apps", "ReplicaSet"): "workload",
}


def describe_object(server: Server, resource: ResourceType, obj: dict[str, Any], clock: Clock) -> list[str]:
    """The description without the events."""
    name = _MODULES.get((resource.group, resource.kind), "anything")
    module = importlib.import_module(f"tiphys.cli.describers.{name}")
    lines: list[str] = module.describe(server, obj, clock)
    return lines
