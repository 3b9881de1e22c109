"""Short ways to write objects in tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tiphys.api.apps.deployment import Deployment
from tiphys.api.apps.replicaset import ReplicaSet
from tiphys.api.core.node import Node
from tiphys.api.core.pod import Pod
from tiphys.api.times import format_time

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def ago(seconds: float) -> str:
    return format_time(NOW - timedelta(seconds=seconds))


def pod(
    name: str = "p",
    *,
    node: str = "n1",
    phase: str = "Running",
    ready: bool = True,
    ready_ago: float = 100,
    age: float = 1000,
    restarts: int = 0,
    **metadata: Any,
) -> Pod:
    condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": ago(ready_ago)}
    return Pod.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": "default",
                "uid": f"uid-{name}",
                "creationTimestamp": ago(age),
                **metadata,
            },
            "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]},
            "status": {
                "phase": phase,
                "conditions": [condition],
                "containerStatuses": [{"name": "c", "restartCount": restarts, "image": "i", "imageID": ""}],
            },
        }
    )


def template(image: str = "app:1", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "web", **labels}},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }


def replica_set(
    name: str = "web-1",
    size: int = 1,
    *,
    available: int | None = None,
    replicas: int | None = None,
    image: str = "app:1",
    age: float = 1000,
    annotations: dict[str, str] | None = None,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **metadata: Any,
) -> ReplicaSet:
    running = size if replicas is None else replicas
    up = running if available is None else available
    return ReplicaSet.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": "default",
                "uid": f"uid-{name}",
                "generation": 1,
                "creationTimestamp": ago(age),
                "annotations": annotations or {},
                **metadata,
            },
            "spec": {"replicas": size, "template": template(image, **{"pod-template-hash": name}), **(spec or {})},
            "status": {
                "replicas": running,
                "readyReplicas": up,
                "availableReplicas": up,
                "observedGeneration": 1,
                **(status or {}),
            },
        }
    )


def deployment(
    replicas: int = 3,
    *,
    image: str = "app:1",
    surge: int | str = "25%",
    unavailable: int | str = "25%",
    strategy: str = "RollingUpdate",
    status: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
) -> Deployment:
    rolling = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    return Deployment.model_validate(
        {
            "metadata": {
                "name": "web",
                "namespace": "default",
                "uid": "uid-web",
                "generation": 1,
                "annotations": annotations or {},
            },
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "template": template(image),
                "strategy": {"type": strategy, **(rolling if strategy == "RollingUpdate" else {})},
                "progressDeadlineSeconds": 600,
                "revisionHistoryLimit": 10,
                **(spec or {}),
            },
            "status": status or {},
        }
    )


def node(name: str = "n1", ready: str = "True", taints: tuple[dict[str, Any], ...] = (), **spec: Any) -> Node:
    conditions = [{"type": "Ready", "status": ready, "lastHeartbeatTime": ago(10)}] if ready else []
    return Node.model_validate(
        {
            "metadata": {"name": name, "uid": f"uid-{name}", "creationTimestamp": ago(500)},
            "spec": {"taints": list(taints), **spec},
            "status": {"conditions": conditions},
        }
    )
