"""Seeds: late watches, broken streams, conflicts, lost answers and killed managers, and what holds all the while.

A failure names its seed; `SCENARIO_SEED=stateful_set:17` plays only that one, and prints the whole history.
"""

from __future__ import annotations

import asyncio
import os
from random import Random

import pytest

from tests.scenarios.controllers.controlplane import Base, ControlPlane, play
from tests.scenarios.controllers.lives import LIVES
from tests.scenarios.controllers.transport import Faults

SEEDS = 100
NAMES = sorted(LIVES)
ASKED = os.environ.get("SCENARIO_SEED", "")
CHOSEN = [ASKED.split(":")] if ASKED else [[NAMES[seed % len(NAMES)], str(seed)] for seed in range(SEEDS)]


def everything(random: Random) -> Faults:
    """Watches up to 30 s late, one event in five not delivered, a conflict on every third write, lost answers."""
    return Faults(random, delay_seconds=30.0, drop=0.2, expire=0.1, conflict_every=3, lose=0.02)


@pytest.mark.parametrize(("name", "seed"), CHOSEN, ids=lambda part: part)
def test_a_workload_survives_everything(base: Base, name: str, seed: str) -> None:
    async def life(plane: ControlPlane) -> None:
        killing = asyncio.create_task(kill_now_and_then(plane))
        plane.world.keep_everything(bool(ASKED))
        try:
            await LIVES[name](plane)
        finally:
            killing.cancel()

    try:
        play(base, int(seed), life, faults=everything)
    except AssertionError as error:
        raise AssertionError(f"SCENARIO_SEED={name}:{seed} plays this again: {error}") from error


async def kill_now_and_then(plane: ControlPlane) -> None:
    """Every third seed's manager dies every few minutes, until the faults heal."""
    random = Random(plane.random.random())
    if random.random() > 0.34:
        return
    while True:
        await asyncio.sleep(random.uniform(20, 300))
        if not plane.faults.conflict_every:
            return
        plane.kill_manager()


def test_a_seed_plays_the_same_twice(base: Base) -> None:
    async def life(plane: ControlPlane) -> str:
        await LIVES["restless_deployment"](plane)
        return plane.world.describe()

    assert play(base, 5, life, faults=everything) == play(base, 5, life, faults=everything)


def test_the_rules_notice_a_surplus_pod(base: Base) -> None:
    """A positive control: without its memory of its own writes, the controller starts too many pods."""

    async def life(plane: ControlPlane) -> None:
        await LIVES["rolling_deployment"](plane)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tiphys.client.controller.Controller._sees_own_writes", lambda *_: True)
        with pytest.raises(AssertionError, match="more than"):
            play(base, 1, life, faults=everything)
