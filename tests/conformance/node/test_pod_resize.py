"""In-place resize: what pods/resize asks for is in the status, in the container's cgroup, and nothing is restarted."""

from __future__ import annotations

from dataclasses import dataclass

from tests.conformance.api import Object
from tests.conformance.node.case import Case, condition, restarts
from tests.conformance.node.manifests import pod, shell
from tests.conformance.rows import row
from tiphys.api.quantity import milli, value

FILES = """
read_first() { for file in "$@"; do [ -e $file ] && { cat $file; return; }; done; echo none; }
cd /sys/fs/cgroup
echo quota $(read_first cpu.max cpu/cpu.cfs_quota_us cpu,cpuacct/cpu.cfs_quota_us)
echo period $(read_first cpu/cpu.cfs_period_us cpu,cpuacct/cpu.cfs_period_us)
echo memory $(read_first memory.max memory/memory.limit_in_bytes)
"""
UNLIMITED_BYTES = 1 << 60  # v1 says so with a number close to 2^63


@dataclass(frozen=True)
class Size:
    """Requests and limits; "" is none."""

    cpu: str = ""
    cpu_limit: str = ""
    memory: str = ""
    memory_limit: str = ""

    @property
    def resources(self) -> Object:
        found = {
            "requests": {"cpu": self.cpu, "memory": self.memory},
            "limits": {"cpu": self.cpu_limit, "memory": self.memory_limit},
        }
        return {kind: kept for kind, one in found.items() if (kept := {k: v for k, v in one.items() if v})}


def check_cgroup(case: Case, name: str, container: str, size: Size) -> None:
    lines = dict(line.partition(" ")[::2] for line in case.shell(name, FILES, container).splitlines())
    quota = lines["quota"].split()
    period = int(quota[1] if len(quota) > 1 else lines["period"])
    cpu = None if quota[0] in ("max", "-1") else int(quota[0]) * 1000 // period
    memory = None if lines["memory"] == "max" or int(lines["memory"]) > UNLIMITED_BYTES else int(lines["memory"])
    wanted = max(milli(size.cpu_limit), 10) if size.cpu_limit else None  # the kernel's smallest quota is a hundredth
    assert (cpu, memory) == (wanted, value(size.memory_limit) if size.memory_limit else None), (container, lines)


def spec_of(sizes: dict[str, Size]) -> list[Object]:
    return [{"name": name, "resources": size.resources} for name, size in sizes.items()]


def is_resized(found: Object, sizes: dict[str, Size]) -> bool:
    actual = {one["name"]: one.get("resources", {}) for one in found["status"].get("containerStatuses", [])}
    pending = condition(found, "PodResizePending") or condition(found, "PodResizeInProgress")
    return not pending and all(actual.get(name) == size.resources for name, size in sizes.items())


def start(case: Case, sizes: dict[str, Size]) -> str:
    containers = [shell(case.images.busybox, name=name, resources=size.resources) for name, size in sizes.items()]
    name = case.create(pod("resized", *containers))
    case.running(name)
    return name


def check_resized(case: Case, name: str, sizes: dict[str, Size]) -> None:
    found = case.wait(name, lambda found: is_resized(found, sizes), f"has the sizes {sizes}")
    assert [restarts(found, index) for index in range(len(sizes))] == [0] * len(sizes)
    for container, size in sizes.items():
        check_cgroup(case, name, container, size)


def resize(case: Case, name: str, sizes: dict[str, Size]) -> None:
    patch = {"spec": {"containers": spec_of(sizes)}}
    path = f"{case.path('pods', name)}/resize"
    case.api.patch(path, patch, "strategic")
    found = {one["name"]: one["resources"] for one in case.pod(name)["spec"]["containers"]}
    assert found == {container: size.resources for container, size in sizes.items()}
    check_resized(case, name, sizes)


BEFORE = {
    "c1": Size("20m", "30m", "100Mi", "200Mi"),
    "c2": Size("20m", "30m", "100Mi", "200Mi"),
    "c3": Size("20m", "30m", "100Mi", "200Mi"),
    "c4": Size("20m", "", "100Mi", ""),
    "c5": Size("20m", "30m", "", ""),
    "c6": Size("", "", "100Mi", "200Mi"),
}
AFTER = {
    "c1": Size("30m", "40m", "120Mi", "250Mi"),  # all raised
    "c2": Size("10m", "20m", "100Mi", "200Mi"),  # cpu lowered
    "c3": Size("30m", "30m", "100Mi", "250Mi"),  # one request raised to its limit, one limit raised
    "c4": Size("30m", "50m", "100Mi", "200Mi"),  # limits added
    "c5": Size("20m", "30m", "50Mi", "100Mi"),  # memory added
    "c6": Size("20m", "40m", "100Mi", "200Mi"),  # cpu added
}


@row(248, "In-place Pod Resize, burtable pod with multiple containers and various operations")
def test_burstable_containers_are_resized_in_various_ways(case: Case) -> None:
    name = start(case, BEFORE)
    for container, size in BEFORE.items():
        check_cgroup(case, name, container, size)
    resize(case, name, AFTER)
    resize(case, name, {**AFTER, **{name: BEFORE[name] for name in ("c1", "c2", "c3")}})  # what was added stays


@row(249, "In-place Pod Resize, burstable pod resized with equivalents")
def test_sizes_below_the_smallest_are_reported_as_asked(case: Case) -> None:
    before, after = {"c1": Size("2m", "10m")}, {"c1": Size("1m", "5m")}
    name = start(case, before)
    resize(case, name, after)
    resize(case, name, before)


@row(250, "In-place Pod Resize, read and replace endpoints")
def test_a_pod_is_resized_by_replacement(case: Case) -> None:
    before, after = {"c1": Size("20m", "30m")}, {"c1": Size("30m", "40m")}
    name = start(case, before)
    path = f"{case.path('pods', name)}/resize"
    case.api.update(path, lambda found: found["spec"]["containers"][0].update(resources=after["c1"].resources))
    check_resized(case, name, after)
    assert case.api.get(path)["spec"] == case.pod(name)["spec"]
