"""What the eviction manager does in what order.  The node it looks at is made of numbers; pods only note their end."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nodeagent.eviction.kernelpressure import MemoryTrigger
from nodeagent.eviction.manager import EvictionManager, EvictionParts
from nodeagent.eviction.signals import Observation, observe
from nodeagent.eviction.thresholds import parse_config
from nodeagent.pods.observed import Ending
from nodeagent.stats.disk import PodDisk
from tiphys.api.core.pod import Pod
from tiphys.clock import SystemClock


def pod(name: str, **spec: Any) -> Pod:
    return Pod.model_validate(
        {"metadata": {"name": name, "uid": name}, "spec": {"containers": [{"name": "c"}], **spec}}
    )


class Scene:
    """A node with 1000 bytes of memory and of disk; pods free theirs when they end."""

    def __init__(self, *pods: Pod, memory: int = 1000, disk: int = 1000, garbage: int = 0) -> None:
        self.all = list(pods)
        self.memory, self.disk, self.garbage = memory, disk, garbage
        self.log: list[str] = []
        self.endings: dict[str, Ending] = {}

    def manager(self, hard: str, soft: str = "", grace: str = "", most: int = 0) -> EvictionManager:
        async def snapshot(disk: bool) -> Any:
            self.log.append("measure")
            return _Nothing()

        async def disk_of(pod: Pod) -> PodDisk:
            raise AssertionError("nobody has a limit")

        async def reclaim() -> None:
            self.log.append("reclaim")
            self.disk += self.garbage

        config = parse_config(hard, soft, grace, transition_seconds=300, max_pod_grace_seconds=most)
        parts = EvictionParts(
            observe=self.observe,
            pods=self,
            snapshot=snapshot,
            disk=disk_of,
            reclaim=reclaim,
            node_event=lambda reason, text: self.log.append(text),
            changed=lambda: self.log.append("changed"),
            counted=lambda signal: self.log.append(f"counted {signal}"),
        )
        return EvictionManager(config, parts, SystemClock())

    def observe(self) -> Mapping[str, Observation]:
        return {
            "memory.available": Observation(self.memory, 1000),
            "nodefs.available": Observation(self.disk, 1000),
        }

    def pods(self) -> list[Pod]:
        return self.all

    def end_pod(self, pod_uid: str, ending: Ending) -> bool:
        self.log.append(f"end {pod_uid}")
        self.endings[pod_uid] = ending
        return True

    async def wait_over(self, pod_uid: str) -> None:
        self.log.append(f"over {pod_uid}")


class _Nothing:
    """A snapshot in which nothing is known of any pod."""

    pods = ()


async def test_plenty_costs_nothing() -> None:
    scene = Scene(pod("a"))
    assert await scene.manager("memory.available<100").check() == []
    assert scene.log == []


async def test_garbage_goes_before_pods() -> None:
    scene = Scene(pod("a"), disk=50, garbage=500)
    manager = scene.manager("nodefs.available<10%")
    assert await manager.check() == []
    assert scene.log == ["changed", "Attempting to reclaim ephemeral-storage", "reclaim"]
    assert manager.pressures() == {"MemoryPressure": False, "DiskPressure": True, "PIDPressure": False}


async def test_one_pod_ends_at_a_time_and_each_only_once() -> None:
    scene = Scene(pod("b", priority=5), pod("a"), memory=50)
    manager = scene.manager("memory.available<100")
    assert await manager.check() == ["a"]
    assert scene.log == [
        *("changed", "Attempting to reclaim memory", "measure"),
        *("end a", "counted memory.available", "over a"),
    ]
    assert scene.endings["a"].grace_seconds == 1 and scene.endings["a"].disruption
    assert await manager.check() == ["b"]
    assert await manager.check() == []


async def test_critical_pods_are_never_ended() -> None:
    mirrored = {"name": "s", "uid": "s", "annotations": {"kubernetes.io/config.source": "file"}}
    static = Pod.model_validate({"metadata": mirrored, "spec": {"containers": [{"name": "c"}]}})
    scene = Scene(pod("critical", priority=2_000_001_000), static, memory=50)
    assert await scene.manager("memory.available<100").check() == []
    assert scene.endings == {}


@pytest.mark.parametrize(("most", "own", "expected"), [(0, 30, 0), (60, 30, 30), (10, 30, 10)])
async def test_a_soft_threshold_gives_a_bounded_grace(most: int, own: int, expected: int) -> None:
    scene = Scene(pod("a", terminationGracePeriodSeconds=own), memory=50)
    manager = scene.manager("", "memory.available<100", "memory.available=0s", most)
    assert await manager.check() == ["a"]
    assert scene.endings["a"].grace_seconds == expected


async def test_who_is_taken_under_pressure() -> None:
    requests = {"resources": {"requests": {"memory": "1Mi"}}}
    burstable = pod("b", containers=[{"name": "c", **requests}])
    tolerating = pod("t", tolerations=[{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}])
    cases = {"e": pod("e"), "b": burstable, "t": tolerating, "c": pod("c", priority=2_000_000_000)}
    memory = Scene(memory=50)
    manager = memory.manager("memory.available<100,nodefs.available<100")
    assert manager.gate(pod("e")) is None
    await manager.check()
    assert {name: manager.gate(one) is None for name, one in cases.items()} == {
        "e": False,
        "b": True,
        "t": True,
        "c": True,
    }
    memory.disk = 50
    await manager.check()
    assert {name for name, one in cases.items() if manager.gate(one) is None} == {"c"}


def test_this_machine_can_be_observed(tmp_path: Path) -> None:
    found = observe(tmp_path, tmp_path)
    assert {"memory.available", "pid.available", "nodefs.available", "imagefs.available"} <= set(found)
    assert all(0 <= one.available <= one.capacity for one in found.values())


async def test_without_pressure_events_there_is_only_the_interval(tmp_path: Path) -> None:
    assert not MemoryTrigger(lambda: None, tmp_path / "absent").open()
    trigger = MemoryTrigger(lambda: None)
    if Path("/proc/pressure/memory").exists():
        assert trigger.open()
        await asyncio.sleep(0)
    trigger.close()
