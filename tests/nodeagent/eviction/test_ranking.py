"""Who goes first, and what is said about it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from nodeagent.eviction import messages
from nodeagent.eviction.localstorage import is_limited, over_limit
from nodeagent.eviction.ranking import Candidate, rank
from nodeagent.eviction.signals import Observation
from nodeagent.eviction.thresholds import Amount, Threshold
from nodeagent.stats.cgroupusage import Usage
from nodeagent.stats.disk import PodDisk, TreeUsage, VolumeUsage
from nodeagent.stats.snapshot import ContainerStats, PodStats
from tiphys.api.core.pod import Pod

MIB = 1 << 20


def pod(name: str, request: str = "", priority: int = 0, resource: str = "memory", limit: str = "", **spec: Any) -> Pod:
    requests, limits = ({resource: request} if request else {}), ({resource: limit} if limit else {})
    container = {"name": "main", "resources": {"requests": requests, "limits": limits}}
    return Pod.model_validate(
        {"metadata": {"name": name, "uid": name}, "spec": {"containers": [container], "priority": priority, **spec}}
    )


def candidate(made: Pod, memory_mib: int | None = 0, disk_mib: int = 0, inodes: int = 0, pids: int = 0) -> Candidate:
    if memory_mib is None:
        return Candidate(made)
    usage = Usage(working_set_bytes=memory_mib * MIB, processes=pids)
    main = ContainerStats("c", "main", "", "", datetime(2026, 1, 1, tzinfo=UTC), usage)
    disk = PodDisk({"main": TreeUsage(disk_mib * MIB, inodes)})
    return Candidate(
        made, PodStats(made.metadata.uid, made.metadata.name, "", "", None, usage, None, (), (main,), disk)
    )


def order(*candidates: Candidate, resource: str = "memory") -> list[str]:
    return [one.pod.metadata.name for one in rank(candidates, resource)]


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        pytest.param(
            [candidate(pod("within", "100Mi"), 50), candidate(pod("above", "10Mi"), 20)],
            ["above", "within"],
            id="who uses more than it asked for",
        ),
        pytest.param(
            [candidate(pod("important", priority=5), 90), candidate(pod("ordinary"), 10)],
            ["ordinary", "important"],
            id="then the lower priority",
        ),
        pytest.param(
            [candidate(pod("much", "100Mi"), 150), candidate(pod("more"), 60)],
            ["more", "much"],
            id="then who is furthest above its request",
        ),
        pytest.param(
            [candidate(pod("within", "100Mi", -5), 50), candidate(pod("above", "10Mi", 1000), 20)],
            ["above", "within"],
            id="priority does not excuse",
        ),
        pytest.param(
            [candidate(pod("known"), 500), candidate(pod("unknown"), None)],
            ["unknown", "known"],
            id="nothing is known of it",
        ),
    ],
)
def test_memory(candidates: list[Candidate], expected: list[str]) -> None:
    assert order(*candidates) == expected
    assert order(*reversed(candidates)) == expected


def test_disk_inodes_and_processes() -> None:
    storage = "ephemeral-storage"
    disk = [candidate(pod("a", "50Mi", resource=storage), disk_mib=40), candidate(pod("b"), disk_mib=10)]
    assert order(*disk, resource=storage) == ["b", "a"]
    assert order(candidate(pod("a"), inodes=3), candidate(pod("b"), inodes=9), resource="inodes") == ["b", "a"]
    assert order(candidate(pod("a"), pids=3), candidate(pod("b"), pids=9), resource="pids") == ["b", "a"]
    assert order(candidate(pod("a", priority=9), pids=30), candidate(pod("b"), pids=9), resource="pids") == ["b", "a"]


def test_the_message_names_threshold_and_consumers() -> None:
    threshold = Threshold("memory.available", Amount(100 * MIB))
    text = messages.evicted(candidate(pod("a", "10Mi"), 20), threshold, Observation(50 * MIB, 1000 * MIB))
    assert text == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Container main was using 20Mi, request is 10Mi, has larger consumption of memory. "
    )
    disk = Threshold("nodefs.available", Amount(percent=10))
    text = messages.evicted(candidate(pod("a"), disk_mib=7), disk, Observation(512, 10240))
    assert text == (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 1Ki, available: 512. "
        "Container main was using 7Mi, request is 0, has larger consumption of ephemeral-storage. "
    )
    inodes = messages.evicted(candidate(pod("a"), inodes=7), Threshold("nodefs.inodesFree", Amount(5)), None)
    assert inodes == "The node was low on resource: inodes. "
    assert messages.rejected({"MemoryPressure", "DiskPressure"}) == (
        "The node had condition: [DiskPressure MemoryPressure]. "
    )


def disk_of(layer: int, log: int, volume: int) -> PodDisk:
    return PodDisk(
        {"main": TreeUsage(layer)}, {"main": TreeUsage(log)}, (VolumeUsage("v", used=TreeUsage(volume), local=True),)
    )


def test_limits_of_ephemeral_storage() -> None:
    limited = pod("a", limit="1Ki", resource="ephemeral-storage")
    assert is_limited(limited) and not is_limited(pod("b"))
    assert over_limit(limited, disk_of(500, 500, 24)) == ""
    assert over_limit(limited, disk_of(500, 500, 25)) == (
        "Pod ephemeral local storage usage exceeds the total limit of containers 1Ki. "
    )
    assert over_limit(pod("b"), disk_of(10**9, 0, 0)) == ""
    two = limited.model_copy(update={"spec": limited.spec.model_copy(update={"containers": [
        *limited.spec.containers,
        limited.spec.containers[0].model_copy(update={"name": "other"}),
    ]})})  # fmt: skip
    assert over_limit(two, disk_of(1000, 100, 0)) == (
        'Container main exceeded its local ephemeral storage limit "1Ki". '
    )
