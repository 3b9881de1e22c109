"""The manager dies after its k-th write, for every k: the write is done, its answer and all memory are lost."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.scenarios.controllers import workloads as w
from tests.scenarios.controllers.controlplane import Base, ControlPlane, play
from tests.scenarios.controllers.transport import Faults


async def deployment(plane: ControlPlane) -> None:
    await plane.create(f"{w.APPS}/deployments", w.workload("Deployment", replicas=2))
    await plane.until(lambda: w.rolled_out(plane.world, "app:1", 2), "the first version", 120)
    await plane.merge(f"{w.APPS}/deployments/web", w.image_change("app:2"))
    await plane.until(lambda: w.rolled_out(plane.world, "app:2", 2), "the second version", 120)


async def stateful_set(plane: ControlPlane) -> None:
    await plane.create(f"{w.APPS}/statefulsets", w.workload("StatefulSet", replicas=2, serviceName="web"))
    await plane.until(lambda: w.stateful(plane.world, "app:1", 2), "the first version", 120)
    await plane.merge(f"{w.APPS}/statefulsets/web", w.image_change("app:2"))
    await plane.until(lambda: w.stateful(plane.world, "app:2", 2), "the second version", 120)


async def daemon_set(plane: ControlPlane) -> None:
    await plane.create(f"{w.APPS}/daemonsets", w.workload("DaemonSet"))
    await plane.until(lambda: w.on_every_node(plane.world, "app:1", 3), "the first version", 120)
    await plane.merge(f"{w.APPS}/daemonsets/web", w.image_change("app:2"))
    await plane.until(lambda: w.on_every_node(plane.world, "app:2", 3), "the second version", 120)


async def job(plane: ControlPlane) -> None:
    fates = iter((True, False))  # of two pods one ends badly, all later ones well
    plane.kubelets.fate = lambda _: next(fates, True)
    await plane.create(f"{w.BATCH}/jobs", w.job(completions=3, parallelism=2))
    await plane.until(lambda: w.over(plane.world) == "Complete", "the job is complete", 300)
    assert (plane.world.status("jobs", "work")["succeeded"], plane.world.status("jobs", "work")["failed"]) == (3, 1)


@pytest.mark.parametrize("life", [deployment, stateful_set, daemon_set, job], ids=lambda life: life.__name__)
def test_a_manager_that_dies_after_any_write_goes_on(
    base: Base, life: Callable[[ControlPlane], Coroutine[Any, Any, None]]
) -> None:
    async def counted(plane: ControlPlane) -> int:
        await life(plane)
        return plane.restarts

    k = 0
    while True:
        k += 1
        try:
            killed = play(base, 7, counted, faults=lambda random, k=k: Faults(random, kill_after=k))  # type: ignore[misc]
        except AssertionError as error:
            raise AssertionError(f"killed after write {k}: {error}") from error
        if not killed:
            break
    assert k > 10, "the life had hardly a write"
