"""The objects of the scenarios in wire form, and when each is as it should be."""

from __future__ import annotations

from typing import Any

from tests.scenarios.controllers.world import Obj, World, is_live, is_ready, owner_of

APPS = "/apis/apps/v1/namespaces/default"
BATCH = "/apis/batch/v1/namespaces/default"
POLICY = "/apis/policy/v1/namespaces/default"
CORE = "/api/v1/namespaces/default"


def template(image: str = "app:1", **spec: Any) -> Obj:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}], **spec}}


def workload(kind: str, **spec: Any) -> Obj:
    selector = {"matchLabels": {"app": "web"}}
    spec = {"selector": selector, "template": template(), **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec}


def job_spec(**spec: Any) -> Obj:
    return {"template": template(restartPolicy="Never"), **spec}


def job(**spec: Any) -> Obj:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "work"}, "spec": job_spec(**spec)}


def cron_job(**spec: Any) -> Obj:
    spec = {"schedule": "* * * * *", "jobTemplate": {"spec": job_spec()}, **spec}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"}, "spec": spec}


def budget(least: int) -> Obj:
    spec = {"minAvailable": least, "selector": {"matchLabels": {"app": "web"}}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": spec}


def image_change(image: str) -> Obj:
    return {"spec": {"template": template(image)}}


def live_pods(world: World) -> list[Obj]:
    return [pod for pod in world.all("pods").values() if is_live(pod)]


def image_of(pod: Obj) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def serves(world: World, image: str, count: int) -> bool:
    """Exactly `count` pods, all of that image, all ready; others are at most on their way out."""
    pods = live_pods(world)
    return len(pods) == count and all(is_ready(pod) and image_of(pod) == image for pod in pods)


def observed(world: World, plural: str) -> bool:
    found = world.get(plural, "web") or {"metadata": {"generation": -1}}
    return bool(found["metadata"]["generation"] == found.get("status", {}).get("observedGeneration"))


def rolled_out(world: World, image: str, count: int) -> bool:
    """The Deployment and its pods."""
    status = world.status("deployments", "web")
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return observed(world, "deployments") and counts == [count] * 3 and serves(world, image, count)


def stateful(world: World, image: str, count: int) -> bool:
    status = world.status("statefulsets", "web")
    if not observed(world, "statefulsets") or status.get("currentRevision") != status.get("updateRevision"):
        return False
    names = {pod["metadata"]["name"] for pod in live_pods(world)}
    good = names == {f"web-{number}" for number in range(count)}
    return good and status.get("availableReplicas", 0) == count and serves(world, image, count)


def on_every_node(world: World, image: str, count: int) -> bool:
    status = world.status("daemonsets", "web")
    counts = [status.get(f"{name}Scheduled") for name in ("currentNumber", "desiredNumber", "updatedNumber")]
    counts.append(status.get("numberAvailable"))
    good = observed(world, "daemonsets") and counts == [count] * 4 and serves(world, image, count)
    return good and len({pod["spec"]["nodeName"] for pod in live_pods(world)}) == count


def over(world: World, name: str = "work") -> str:
    """How the job ended; "" before."""
    conditions = world.status("jobs", name).get("conditions", ())
    return next((one["type"] for one in conditions if one["type"] in ("Complete", "Failed")), "")


def jobs_of_cron(world: World) -> list[Obj]:
    return [one for one in world.all("jobs").values() if (owner_of(one) or {}).get("kind") == "CronJob"]
