"""What people do to a workload while everything goes wrong, one life per kind; all choices come from the seed.

A life ends with `healed`: the faults stop, and within bounded virtual time everything is as it should be.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from tests.scenarios.controllers import workloads as w
from tests.scenarios.controllers.controlplane import ControlPlane
from tests.scenarios.controllers.world import is_live, is_ready

CONVERGENCE_SECONDS = 900.0  # after healing; a Job's own back-off is longer than any other


async def healed(plane: ControlPlane, holds: Callable[[], bool], what: str) -> None:
    plane.faults.heal()
    await plane.until(holds, f"after healing: {what}", CONVERGENCE_SECONDS)
    await plane.sleep(60)  # pods that are still on their way out are counted in statuses
    before = plane.faults.writes
    await plane.sleep(120)
    assert plane.faults.writes - before <= 2, f"still writing after it is done\n{plane.world.describe()}"
    assert holds(), f"did not stay: {what}\n{plane.world.describe()}"


async def rolling_deployment(plane: ControlPlane) -> None:
    """Images change one after the other, each after the last has rolled out."""
    random, world, size = plane.random, plane.world, plane.random.randint(2, 5)
    surge, away = random.choice(((1, 0), (0, 1), ("25%", "25%"), (2, 1)))
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": away}}
    await plane.create(f"{w.APPS}/deployments", w.workload("Deployment", replicas=size, strategy=rolling))
    await plane.until(lambda: w.rolled_out(world, "app:1", size), "the first pods", 3000)
    await plane.merge(f"{w.APPS}/deployments/web", w.image_change("app:2"))
    await plane.until(lambda: w.rolled_out(world, "app:2", size), "the second version", 3000)
    await plane.merge(f"{w.APPS}/deployments/web", w.image_change("app:3"))
    await plane.sleep(random.uniform(0, 100))
    await healed(plane, lambda: w.rolled_out(world, "app:3", size), "the third version")


async def restless_deployment(plane: ControlPlane) -> None:
    """Images and sizes change in the middle of rollouts, pods are deleted by hand."""
    random, world = plane.random, plane.world
    world.guarded = False
    image, size = "app:1", random.randint(1, 5)
    strategy = {"type": random.choice(("RollingUpdate", "RollingUpdate", "Recreate"))}
    await plane.create(f"{w.APPS}/deployments", w.workload("Deployment", replicas=size, strategy=strategy))
    for number in range(random.randint(2, 5)):
        await plane.sleep(random.uniform(0, 60))
        what = random.choice(("image", "size", "pod"))
        if what == "image":
            image = f"app:{number + 2}"
            await plane.merge(f"{w.APPS}/deployments/web", w.image_change(image))
        elif what == "size":
            size = random.randint(1, 6)
            await plane.merge(f"{w.APPS}/deployments/web", {"spec": {"replicas": size}})
        elif pods := w.live_pods(world):
            await plane.delete(f"{w.CORE}/pods/{random.choice(pods)['metadata']['name']}")
    await healed(plane, lambda: w.rolled_out(world, image, size), f"{size} pods of {image}")


async def stateful_set(plane: ControlPlane) -> None:
    random, world, size = plane.random, plane.world, plane.random.randint(2, 4)
    policy = random.choice(("OrderedReady", "Parallel"))
    body = w.workload("StatefulSet", replicas=size, serviceName="web", podManagementPolicy=policy)
    await plane.create(f"{w.APPS}/statefulsets", body)
    await plane.until(lambda: w.stateful(world, "app:1", size), "the first pods", 3000)
    await plane.merge(f"{w.APPS}/statefulsets/web", w.image_change("app:2"))
    await plane.sleep(random.uniform(0, 100))
    if random.random() < 0.5:
        world.guarded = False
        for _ in range(3):
            await plane.sleep(random.uniform(0, 30))
            if pods := w.live_pods(world):
                await plane.delete(f"{w.CORE}/pods/{random.choice(pods)['metadata']['name']}")
    if random.random() < 0.5:
        world.guarded, size = False, random.randint(1, 5)
        await plane.merge(f"{w.APPS}/statefulsets/web", {"spec": {"replicas": size}})
    await healed(plane, lambda: w.stateful(world, "app:2", size), "the second version")


async def daemon_set(plane: ControlPlane) -> None:
    random, world = plane.random, plane.world
    rolling = random.choice(({"maxUnavailable": 1}, {"maxSurge": 1, "maxUnavailable": 0}))
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    await plane.create(f"{w.APPS}/daemonsets", w.workload("DaemonSet", updateStrategy=strategy))
    await plane.until(lambda: w.on_every_node(world, "app:1", 3), "a pod on every node", 3000)
    await plane.merge(f"{w.APPS}/daemonsets/web", w.image_change("app:2"))
    await plane.sleep(random.uniform(0, 100))
    nodes = 3
    if random.random() < 0.5:
        world.guarded, nodes = False, 4
        await plane.kubelets.register([3])
    await healed(plane, lambda: w.on_every_node(world, "app:2", nodes), "the second version")


async def failing_job(plane: ControlPlane) -> None:
    """Pods end badly now and then; some are deleted by hand while they run."""
    random, world = plane.random, plane.world
    share = random.choice((0.0, 0.3, 0.5))
    plane.kubelets.fate = lambda _: random.random() >= share
    mode = random.choice(("NonIndexed", "Indexed"))
    policy = random.choice(("TerminatingOrFailed", "Failed"))
    limit = random.choice((2, 6))
    await plane.create(f"{w.BATCH}/jobs", w.job(
        completions=random.randint(1, 5), parallelism=random.randint(1, 3), completionMode=mode, backoffLimit=limit,
        podReplacementPolicy=policy))  # fmt: skip
    for _ in range(random.randint(0, 2)):
        await plane.sleep(random.uniform(0, 60))
        if pods := w.live_pods(world):
            await plane.delete(f"{w.CORE}/pods/{random.choice(pods)['metadata']['name']}")
    await plane.sleep(random.uniform(0, 100))
    await healed(plane, lambda: w.over(world) != "", "the job is over")
    if w.over(world) == "Complete":
        wanted = (world.get("jobs", "work") or {})["spec"]["completions"]
        assert world.status("jobs", "work")["succeeded"] == wanted


async def evictions(plane: ControlPlane) -> None:
    """Somebody drains without a pause."""
    random, world, size = plane.random, plane.world, plane.random.randint(2, 5)
    await plane.create(f"{w.APPS}/deployments", w.workload("Deployment", replicas=size))
    least = size - random.randint(0, min(2, size - 1))
    await plane.create(f"{w.POLICY}/poddisruptionbudgets", w.budget(least))
    await plane.until(lambda: w.rolled_out(world, "app:1", size), "the first pods", 3000)
    world.guarded = False
    for _ in range(40):
        await plane.sleep(random.uniform(0, 6))
        ready = [pod for pod in w.live_pods(world) if is_ready(pod)]
        for pod in random.sample(ready, min(len(ready), random.randint(1, 3))):
            name = pod["metadata"]["name"]
            body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}}
            status, _ = await plane.ask("POST", f"{w.CORE}/pods/{name}/eviction", body)
            assert status in (201, 404, 409, 429), status

    def spared() -> bool:
        status = world.status("poddisruptionbudgets", "web")
        return w.rolled_out(world, "app:1", size) and status["disruptionsAllowed"] == size - least

    await healed(plane, spared, "everybody is back, and the budget knows")


async def clock_jumps(plane: ControlPlane) -> None:
    """The wall clock is set forward and back under a CronJob that runs every minute."""
    random, world = plane.random, plane.world
    policy = random.choice(("Allow", "Forbid", "Replace"))
    body = w.cron_job(concurrencyPolicy=policy, successfulJobsHistoryLimit=random.choice((0, 1, 3)))
    await plane.create(f"{w.BATCH}/cronjobs", body)
    for _ in range(5):
        await plane.sleep(random.uniform(10, 150))
        plane.clock.jump(random.choice((-300, -61, -1, 59, 120, 400)))
    plane.faults.heal()
    known = len(world.started)
    await plane.until(lambda: len(world.started) > known + 1, "it goes on ticking", 1200)
    assert all(is_live(pod) or pod["status"] for pod in world.all("pods").values())


LIVES: Mapping[str, Callable[[ControlPlane], Coroutine[Any, Any, None]]] = {
    life.__name__: life
    for life in (
        rolling_deployment, restless_deployment, stateful_set, daemon_set, failing_job, evictions, clock_jumps,
    )
}  # fmt: skip
