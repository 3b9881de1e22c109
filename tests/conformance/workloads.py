"""Short ways to make workloads on the simulated nodes and to wait for their pods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.conformance.api import Api, Object, eventually

IMAGE, OTHER_IMAGE = "registry.example.com/web:1", "registry.example.com/web:2"
NEVER = {"tiphys.dev/simulated-exit": "never"}
UNREADY = {"tiphys.dev/simulated-ready": "false"}
SECONDS = 60.0


def path(namespace: str, plural: str, name: str = "", group: str = "") -> str:
    root = f"/apis/{group}/v1" if group else "/api/v1"
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{plural}" + (f"/{name}" if name else "")


def apps(namespace: str, plural: str, name: str = "") -> str:
    return path(namespace, plural, name, "apps")


def template(app: str, image: str = IMAGE, annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    container = {"name": "c", "image": image, **spec.pop("container", {})}
    metadata: Object = {"labels": {"app": app}}
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": {"containers": [container], **spec}}


def workload(name: str, replicas: int = 1, *, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    """A Deployment, ReplicaSet or StatefulSet whose pods are labelled app=name."""
    made = {"selector": {"matchLabels": {"app": name}}, "template": template(name), "replicas": replicas, **spec}
    return {"metadata": {"name": name, "labels": labels or {"app": name}}, "spec": made}


def controller(name: str, replicas: int = 1, *, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    """A ReplicationController."""
    made = {"selector": {"app": name}, "template": template(name), "replicas": replicas, **spec}
    return {"metadata": {"name": name, "labels": labels or {"app": name}}, "spec": made}


def is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def is_active(pod: Object) -> bool:
    return pod["status"].get("phase") not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]


def pods(api: Api, namespace: str, selector: str = "") -> list[Object]:
    return api.items(path(namespace, "pods"), selector)


def ready_pods(api: Api, namespace: str, app: str, count: int, image: str = "") -> list[Object]:
    """Wait until exactly `count` pods of the app are there and ready (with that image)."""

    def probe() -> list[Object] | None:
        found = pods(api, namespace, f"app={app}")
        good = [one for one in found if is_active(one) and is_ready(one)]
        if image:
            good = [one for one in good if one["spec"]["containers"][0]["image"] == image]
        return good if len(found) == len(good) == count else None

    if count == 0:
        eventually(lambda: not pods(api, namespace, f"app={app}"), f"no pods of {app}", SECONDS)
        return []
    return eventually(probe, f"{count} ready pods of {app}", SECONDS)


def wait(api: Api, one: str, holds: Callable[[Object], Any], what: str, seconds: float = SECONDS) -> Object:
    """The object at the path `one` once `holds(object)`."""

    def probe() -> Object | None:
        found = api.find(one)
        return found if found is not None and holds(found) else None

    return eventually(probe, f"{one}: {what}", seconds)


def owners(obj: Object) -> list[Object]:
    found: list[Object] = obj["metadata"].get("ownerReferences", [])
    return found


def is_controlled_by(obj: Object, owner: Object) -> bool:
    return any(one["uid"] == owner["metadata"]["uid"] and one.get("controller") for one in owners(obj))


def condition(obj: Object, type: str) -> Object:
    """The condition, {} if it is not there."""
    found: list[Object] = obj["status"].get("conditions") or []
    return next((one for one in found if one["type"] == type), {})


def check_scale(api: Api, one: str) -> None:
    """GET, PUT and PATCH of the scale of a workload with one replica."""
    scale = api.get(f"{one}/scale")
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 1)
    del scale["metadata"]["resourceVersion"]  # the controller writes the status meanwhile
    assert api.replace(f"{one}/scale", {**scale, "spec": {"replicas": 2}})["spec"]["replicas"] == 2
    assert api.get(one)["spec"]["replicas"] == 2
    assert api.patch(f"{one}/scale", {"spec": {"replicas": 4}})["spec"]["replicas"] == 4
    assert api.get(one)["spec"]["replicas"] == 4


def check_status_conditions(api: Api, one: str) -> None:
    """GET, PUT and PATCH of the status, as a watch of the object sees them."""
    collection, _, name = one.rpartition("/")
    assert api.get(f"{one}/status")["metadata"]["name"] == name
    with api.watch(collection, fieldSelector=f"metadata.name={name}") as watch:
        updated = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}

        def change(obj: Object) -> None:
            obj["status"].setdefault("conditions", []).append(dict(updated))

        api.update(f"{one}/status", change)
        watch.wait("MODIFIED", name, lambda obj: condition(obj, "StatusUpdate"))
        patched = {"type": "StatusPatched", "status": "True"}
        api.patch(f"{one}/status", {"status": {"conditions": [patched]}})
        watch.wait("MODIFIED", name, lambda obj: condition(obj, "StatusPatched"))


def check_collection(api: Api, plural: str, namespace: str, selector: str) -> None:
    """Listed over all namespaces by label, and deleted as a collection."""
    assert len(api.items(apps("", plural), selector)) >= 1
    api.delete(apps(namespace, plural), labelSelector=selector)
    eventually(lambda: not api.items(apps(namespace, plural), selector), f"no {plural} left", SECONDS)
