"""Recorded lives, compared word for word: tests/scenarios/*.txt tell what a cluster does to roll, to fail, to end.

After a wanted change: `RECORD=1 pytest tests/scenarios/controllers/test_transcripts.py`, and read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.controllers import workloads as w
from tests.scenarios.controllers.controlplane import Base, ControlPlane, play

HERE = Path(__file__).resolve().parents[1]
SHOWN = ("deployments", "replicasets", "statefulsets", "jobs", "pods", "events")


async def deployment_rolling_update(plane: ControlPlane) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await plane.create(f"{w.APPS}/deployments", w.workload("Deployment", replicas=2, strategy=rolling))
    await plane.until(lambda: w.rolled_out(plane.world, "app:1", 2), "the first version", 120)
    await plane.merge(f"{w.APPS}/deployments/web", w.image_change("app:2"))
    await plane.until(lambda: w.rolled_out(plane.world, "app:2", 2), "the second version", 120)


async def statefulset_update(plane: ControlPlane) -> None:
    await plane.create(f"{w.APPS}/statefulsets", w.workload("StatefulSet", replicas=2, serviceName="web"))
    await plane.until(lambda: w.stateful(plane.world, "app:1", 2), "the first version", 120)
    await plane.merge(f"{w.APPS}/statefulsets/web", w.image_change("app:2"))
    await plane.until(lambda: w.stateful(plane.world, "app:2", 2), "the second version", 120)


async def job_with_failures(plane: ControlPlane) -> None:
    fates = iter((False, True))
    plane.kubelets.fate = lambda _: next(fates, True)
    await plane.create(f"{w.BATCH}/jobs", w.job(completions=3, parallelism=2))
    await plane.until(lambda: w.over(plane.world) == "Complete", "the job is complete", 300)


@pytest.mark.parametrize(
    "life", [deployment_rolling_update, statefulset_update, job_with_failures], ids=lambda life: life.__name__
)
def test_a_life_goes_as_recorded(base: Base, life: Callable[[ControlPlane], Coroutine[Any, Any, None]]) -> None:
    async def told(plane: ControlPlane) -> str:
        plane.world.keep_everything(True)
        plane.world.lines.clear()
        await life(plane)
        await plane.sleep(5)
        shown = [line for line in plane.world.lines if line.split()[1] in SHOWN]
        return "\n".join(" ".join(word.split(".")[0] if "default/" in word else word for word in line.split())
                         for line in shown) + "\n"  # fmt: skip

    text, recorded = play(base, 1, told), HERE / f"{life.__name__}.txt"
    if os.environ.get("RECORD"):
        recorded.write_text(text)
    assert text == recorded.read_text()
