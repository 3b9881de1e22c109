"""Mixed pods come and go: processes, mounts, namespaces, cgroups, files and the agent itself are back where they began.

`TIPHYS_CYCLES` says how many pods (500 for the long form); they come in batches that start and end at one time.  The
control is in the middle of every batch: the same footprint must then see the running pods in each of its parts.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from nodeagent.volumes.teardown import mounts_below
from tests.machine import Machine, Object, eventually, is_ready
from tests.nodeagent.registry import Registry
from tests.scenarios.pods import busybox_image, config_map, container, pod, secret

CYCLES = int(os.environ.get("TIPHYS_CYCLES", "36"))
BATCH = 6
WARM_BATCHES = 2  # the first pods import modules, open connections and fill caches that stay
# Python keeps freed arenas, and the last 4,096 events are remembered so that the same one is counted: about 6 MiB.
MEMORY_ALLOWANCE_MIB = 10.0
READY_SECONDS = 120.0

pytestmark = pytest.mark.timeout(120 + 4 * CYCLES)
_QUICK = "trap 'exit 0' TERM; while true; do sleep 0.05; done"


@dataclass(frozen=True)
class Footprint:
    """What a node holds: each part as a set or number that grows with every pod that runs."""

    processes: Counter[str]
    mounts: frozenset[str]
    network_namespaces: frozenset[int]
    links: frozenset[str]
    cgroups: frozenset[str]
    files: frozenset[str]
    rules: frozenset[str]
    descriptors: int
    threads: int

    def beyond(self, other: Footprint) -> dict[str, object]:
        """The parts in which this is more than the other, and by what."""
        found = {}
        for name in (field.name for field in fields(self)):
            mine, theirs = getattr(self, name), getattr(other, name)
            more = max(mine - theirs, 0) if isinstance(mine, int) else mine - theirs
            if more:
                found[name] = more
        return found


def footprint(machine: Machine) -> Footprint:
    agent = machine.pids()["nodeagent"]
    own = dict(machine._own_processes())
    return Footprint(
        processes=Counter(_family(words) for words in own.values()),
        mounts=frozenset(map(str, mounts_below(machine.directory))),
        network_namespaces=frozenset(_network_namespaces(own)) | _pinned_namespaces(machine.directory),
        links=frozenset(machine._links()),
        cgroups=frozenset(str(p) for root in _cgroup_roots(machine) for p in root.rglob("*") if p.is_dir()),
        files=frozenset(_files(machine.layout.root / "node")),
        rules=frozenset(_rules(machine)),
        descriptors=sum(1 for _ in Path(f"/proc/{agent}/fd").iterdir()),
        threads=sum(1 for _ in Path(f"/proc/{agent}/task").iterdir()),
    )


def _family(words: str) -> str:
    """The command line without what differs from run to run, so that equal things count together."""
    return re.sub(r"[0-9a-f]{8}[-0-9a-f]*", "ID", words)


def _network_namespaces(pids: dict[int, str]) -> set[int]:
    found = set()
    for pid in pids:
        try:
            found.add(Path(f"/proc/{pid}/ns/net").stat().st_ino)
        except OSError:
            continue  # it has ended meanwhile
    return found


def _pinned_namespaces(directory: Path) -> frozenset[int]:
    """Inodes of the network namespaces that are held by a mount below the directory."""
    lines = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    pinned = (words[3] for words in lines if words[4].startswith(f"{directory}/") and words[3].startswith("net:["))
    return frozenset(int(root[5:-1]) for root in pinned)


def _cgroup_roots(machine: Machine) -> list[Path]:
    return list(Path("/sys/fs/cgroup").glob(f"*/{machine.layout.cgroup_root}"))


def _files(node: Path) -> set[str]:
    """Paths of the agent's state, without contents of containers and images."""
    found: set[str] = set()
    for root, directories, files in os.walk(node):
        if Path(root) == node:
            directories[:] = [name for name in directories if name != "images"]
        directories[:] = [name for name in directories if name not in ("rootfs", "merged", "upper", "work")]
        found.update(f"{root}/{name}" for name in (*directories, *files))
    return found


def _rules(machine: Machine) -> list[str]:
    """Our nftables, without counters."""
    return [
        re.sub(r"packets \d+ bytes \d+", "", line) for line in machine.run("nft", "list", "ruleset").out.split("\n")
    ]


def memory_mib(pid: int) -> float:
    """Memory that is the agent's own: anonymous and resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no RssAnon")


def mixed(name: str, image: str) -> Object:
    """A pod with one of everything that holds something on the node."""
    mounts = [{"name": volume, "mountPath": f"/{volume}"} for volume in ("plain", "hidden", "all", "scratch", "fast")]
    first = container(image, "cat /plain/word /hidden/word /all/word > /scratch/words", "first", volumeMounts=mounts)
    beside = container(image, _QUICK, "beside", restartPolicy="Always", volumeMounts=mounts)
    main = container(
        image,
        f"test -s /all/token && test -s /scratch/words && echo up && {_QUICK}",
        volumeMounts=[*mounts, {"name": "plain", "mountPath": "/one/word", "subPath": "word"}],
        readinessProbe={"exec": {"command": ["test", "-e", "/fast/started"]}, "periodSeconds": 1},
        lifecycle={
            "postStart": {"exec": {"command": ["touch", "/fast/started"]}},
            "preStop": {"exec": {"command": ["rm", "/fast/started"]}},
        },
    )
    sources = [
        {"configMap": {"name": "cycles"}},
        {"serviceAccountToken": {"path": "token"}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    volumes = [
        {"name": "plain", "configMap": {"name": "cycles"}},
        {"name": "hidden", "secret": {"secretName": "cycles"}},
        {"name": "all", "projected": {"sources": sources}},
        {"name": "scratch", "emptyDir": {}},
        {"name": "fast", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]
    made = pod(name, main, initContainers=[first, beside], volumes=volumes, shareProcessNamespace=True)
    made["metadata"]["labels"]["cycles"] = "yes"
    return made


def test_pods_that_come_and_go_leave_nothing(machine: Machine, registry: Registry) -> None:
    image = registry.push(busybox_image(version="one"), "cycles", "v1")
    machine.apply(config_map("cycles", word="plain"), secret("cycles", word="hidden"))
    agent = machine.pids()["nodeagent"]
    number = 0

    def batch(before: Footprint | None) -> None:
        nonlocal number
        machine.apply(*(mixed(f"cycle-{number + n}", image) for n in range(BATCH)))
        number += BATCH
        eventually(
            lambda: sum(map(is_ready, machine.pods("cycles=yes"))) == BATCH, f"{BATCH} pods are ready", READY_SECONDS
        )
        if before is not None:  # the control: every part sees the pods
            seen = footprint(machine).beyond(before)
            assert set(seen) >= {field.name for field in fields(Footprint)} - {"rules", "threads"}, seen
        machine.kubectl("delete", "pod", "--selector=cycles=yes", seconds=READY_SECONDS)

    for _ in range(WARM_BATCHES):
        batch(None)
    before = at_rest(machine)
    held = memory_mib(agent)
    course = []
    while number < CYCLES:
        batch(before)
        course.append(memory_mib(agent))
    try:
        eventually(lambda: footprint(machine).beyond(before) == {}, "the node is as it was")
    except AssertionError:
        raise AssertionError(f"left after {number} pods: {footprint(machine).beyond(before)}") from None
    now = memory_mib(agent)
    steps = " ".join(f"{value:.1f}" for value in course[:: max(1, len(course) // 20)])
    print(f"{number} pods; agent {held:.1f} MiB before, {now:.1f} MiB after; in between {steps}")
    assert machine.pids()["nodeagent"] == agent
    assert now - held <= MEMORY_ALLOWANCE_MIB


def at_rest(machine: Machine) -> Footprint:
    """The footprint once nothing of a pod is left and it has stopped changing."""
    last: list[Footprint] = []

    def same_twice() -> Footprint | None:
        last[:] = [*last[-4:], footprint(machine)]
        still = len(last) == 5 and all(one == last[0] for one in last)
        return last[0] if still and machine.containers() == {} else None

    return eventually(same_twice, "the node is at rest")
