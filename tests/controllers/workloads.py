"""StatefulSets, DaemonSets and budgets for tests, and the kubelet's part in their lives."""

from typing import Any

from tests.client.server import eventually
from tests.controllers.objects import ago, template
from tiphys.api.apps.daemonset import DaemonSet
from tiphys.api.apps.statefulset import StatefulSet
from tiphys.api.core.pod import Pod
from tiphys.api.policy.poddisruptionbudget import PodDisruptionBudget
from tiphys.client.errors import ApiError
from tiphys.client.rest import Client


def stateful_set(
    replicas: int = 3,
    *,
    policy: str = "OrderedReady",
    strategy: str = "RollingUpdate",
    partition: int = 0,
    unavailable: int | str | None = None,
    image: str = "app:1",
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> StatefulSet:
    rolling: dict[str, Any] = {"partition": partition}
    if unavailable is not None:
        rolling["maxUnavailable"] = unavailable
    return StatefulSet.model_validate(
        {
            "metadata": {"name": "db", "namespace": "default"},
            "spec": {
                "replicas": replicas,
                "serviceName": "db",
                "podManagementPolicy": policy,
                "selector": {"matchLabels": {"app": "web"}},
                "template": template(image),
                "updateStrategy": {
                    "type": strategy,
                    **({"rollingUpdate": rolling} if strategy == "RollingUpdate" else {}),
                },
                **spec,
            },
            "status": status or {},
        }
    )


def claim_template(name: str = "data") -> dict[str, Any]:
    requests = {"requests": {"storage": "1Gi"}}
    return {"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": requests}}


def daemon_set(
    *, surge: int | str = 0, unavailable: int | str = 1, strategy: str = "RollingUpdate", **pod_spec: Any
) -> DaemonSet:
    rolling = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    shape = template()
    shape["spec"].update(pod_spec)
    return DaemonSet.model_validate(
        {
            "metadata": {"name": "agent", "namespace": "default"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": shape,
                "updateStrategy": {"type": strategy, **(rolling if strategy == "RollingUpdate" else {})},
            },
        }
    )


def budget(status: dict[str, Any] | None = None, **spec: Any) -> PodDisruptionBudget:
    return PodDisruptionBudget.model_validate(
        {
            "metadata": {"name": "keep", "namespace": "default", "generation": 1},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
            "status": status or {},
        }
    )


async def by_name(client: Client) -> dict[str, Pod]:
    return {pod.metadata.name: pod for pod in (await client.list(Pod, "default")).items}


async def names(client: Client) -> list[str]:
    return sorted(await by_name(client))


async def there(client: Client, *wanted: str) -> dict[str, Pod]:
    """Wait until exactly these pods exist."""

    async def so() -> bool:
        return await names(client) == sorted(wanted)

    await eventually(so, f"pods {wanted}, not {await names(client)}")
    return await by_name(client)


async def bind(client: Client, name: str, node: str = "n1") -> None:
    """From now on deleting the pod is graceful: it stays until `end`."""
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
    await client.create_subresource(Pod, name, "default", "binding", body)


async def end(client: Client, name: str) -> None:
    """The kubelet confirms that a deleted pod is gone."""
    try:
        await client.delete(Pod, name, "default", grace_period_seconds=0)
    except ApiError as error:
        assert error.not_found


def conditions(**fields: str) -> list[dict[str, Any]]:
    return [{"type": type, "status": status, "lastTransitionTime": ago(100)} for type, status in fields.items()]
