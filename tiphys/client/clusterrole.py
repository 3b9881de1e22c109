"""What a controller may do, derived from what it says about itself: its ClusterRole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tiphys.client.controller import Controller
from tiphys.client.resources import resource_of

_VERB_ORDER = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


def rules(controllers: Iterable[type[Controller]]) -> list[dict[str, Any]]:
    """RBAC rules, one per resource, sorted: reads for everything looked at, the declared verbs for the rest, events."""
    verbs: dict[tuple[str, str], set[str]] = {("", "events"): {"create", "patch"}}
    for controller in controllers:
        for model in (controller.kind, *controller.owns, *controller.reads):
            resource = resource_of(model)
            verbs.setdefault((resource.group, resource.plural), set()).update(("get", "list", "watch"))
        if controller.on_all:
            verbs.setdefault(("*", "*"), set()).update(controller.on_all)
        for line in controller.writes:
            resource = resource_of(line.kind)
            name = f"{resource.plural}/{line.subresource}" if line.subresource else resource.plural
            verbs.setdefault((resource.group, name), set()).update(line.verbs)
    return [
        {"apiGroups": [group], "resources": [name], "verbs": sorted(allowed, key=_order)}
        for (group, name), allowed in sorted(verbs.items())
    ]


def cluster_role(name: str, controllers: Iterable[type[Controller]]) -> dict[str, Any]:
    """The ClusterRole object with these rules."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        "rules": rules(controllers),
    }


def _order(verb: str) -> int:
    return _VERB_ORDER.index(verb) if verb in _VERB_ORDER else len(_VERB_ORDER)
