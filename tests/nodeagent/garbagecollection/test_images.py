"""Which images go, when, and in what order."""

from pathlib import Path

import pytest

from nodeagent.garbagecollection.containers import removable
from nodeagent.garbagecollection.images import (
    ImageGarbageCollector,
    ImageRecord,
    bytes_to_free,
    choose,
    expired,
    remember,
)
from nodeagent.garbagecollection.policy import ImagePolicy
from nodeagent.garbagecollection.usedimages import used_images
from nodeagent.images.image import Image, ImageConfig
from nodeagent.runtime.interface import ContainerSpec, ContainerState, ContainerStatus
from nodeagent.stats.machine import FileSystem
from tiphys.api.core.pod import Pod
from tiphys.clock import SystemClock


class HandClock(SystemClock):
    """Moves only by hand."""

    seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


def test_the_least_recently_used_goes_first_and_young_or_used_ones_stay() -> None:
    records = {
        "used": ImageRecord(0.0, 5.0),
        "recent": ImageRecord(0.0, 90.0),
        "old": ImageRecord(0.0, 10.0),
        "never": ImageRecord(0.0),
        "young": ImageRecord(950.0),
    }
    assert choose(records, {"used"}, 1000.0, 120.0) == ["never", "old", "recent"]
    assert choose(records, {"used"}, 1000.0, 0.0) == ["never", "young", "old", "recent"]
    assert expired(records, {"used"}, 1000.0, 800.0) == ["recent", "old", "never"]
    assert expired(records, {"used"}, 1000.0, 0.0) == []


def test_use_is_remembered_and_what_is_gone_is_forgotten() -> None:
    records = remember({}, ["a", "b"], {"a"}, 1.0)
    records = remember(records, ["a", "b"], {"b"}, 2.0)
    assert records == {"a": ImageRecord(1.0, 1.0), "b": ImageRecord(1.0, 2.0)}
    assert set(remember(records, ["b"], (), 3.0)) == {"b"}


@pytest.mark.parametrize(("available", "expected"), [(1000, 0), (151, 0), (150, 50), (0, 200)])
def test_nothing_happens_below_the_high_threshold(available: int, expected: int) -> None:
    assert bytes_to_free(FileSystem(1000, available, 0, 0), ImagePolicy()) == expected


def test_a_policy_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="image thresholds"):
        ImagePolicy(80, 85)


def image(name: str) -> Image:
    return Image(f"sha256:{name}", (name,), (), 1, ImageConfig(), [Path("base"), Path(name)])


class Disk:
    """A disk of 1000 bytes on which each image takes 100."""

    def __init__(self, *names: str, other: int) -> None:
        self.images, self.other, self.warnings = {f"sha256:{n}": image(n) for n in names}, other, list[str]()
        self.used: set[str] = set()

    def list(self) -> list[Image]:
        return list(self.images.values())

    def get(self, reference_or_id: str) -> Image | None:
        return next((i for i in self.images.values() if reference_or_id in (i.id, *i.repo_tags)), None)

    async def remove(self, reference_or_id: str) -> None:
        del self.images[reference_or_id]

    async def collect_garbage(self) -> int:
        return 0

    async def in_use(self) -> set[str]:
        return self.used

    def free(self) -> FileSystem:
        return FileSystem(1000, 1000 - self.other - 100 * len(self.images), 0, 0)

    def collector(self, clock: SystemClock) -> ImageGarbageCollector:
        def warn(reason: str, message: str) -> None:
            self.warnings.append(f"{reason}: {message}")

        return ImageGarbageCollector(self, self.in_use, self.free, warn, lambda *_: None, clock, ImagePolicy())


async def test_images_go_until_the_low_threshold_is_reached() -> None:
    disk, clock = Disk("a", "b", "c", other=600), HandClock()
    disk.used = {"sha256:a"}
    collector = disk.collector(clock)
    assert await collector.collect() == 0  # they are too young
    assert "FreeDiskSpaceFailed" in disk.warnings[0] and "ImageGCFailed" in disk.warnings[1]
    assert disk.warnings[0].endswith("Attempted to free 100 bytes, but only found 0 bytes eligible to free.")
    clock.seconds += 121
    assert await collector.collect() == 100
    assert set(disk.images) == {"sha256:a", "sha256:c"}


async def test_in_need_everything_unused_goes_whatever_its_age() -> None:
    disk = Disk("a", "b", "c", other=0)
    disk.used = {"sha256:b"}
    assert await disk.collector(HandClock()).remove_unused() == 200
    assert set(disk.images) == {"sha256:b"}


def container(pod: str, name: str, attempt: int, state: ContainerState, image_id: str = "") -> ContainerStatus:
    spec = ContainerSpec(
        f"{pod}-{name}-{attempt}", pod, name, ("x",), (Path("base"), Path("b")), Path("l"), attempt, image_id=image_id
    )
    return ContainerStatus(spec.id, spec, state)


def test_only_the_newest_attempt_of_a_living_pod_and_what_runs_stay() -> None:
    found = removable(
        [
            container("alive", "main", 0, "exited"),
            container("alive", "main", 1, "exited"),
            container("alive", "main", 2, "running"),
            container("alive", "init", 0, "exited"),
            container("over", "main", 0, "exited"),
            container("over", "stuck", 0, "running"),
        ],
        {"over"},
    )
    assert [status.id for status in found] == ["alive-main-0", "alive-main-1", "over-main-0"]


def test_an_image_is_used_by_containers_volumes_and_pods_that_will_run() -> None:
    store = Disk("a", "b", "c", "d", "e", other=0)

    def pod(name: str, phase: str) -> Pod:
        spec = {"containers": [{"name": "main", "image": name}]}
        return Pod.model_validate({"metadata": {"name": name}, "spec": spec, "status": {"phase": phase}})

    containers = [container("p", "x", 0, "exited", "sha256:a"), container("p", "y", 0, "running", "gone@sha256:0")]
    used = used_images(store, containers, {"sha256:e"}, [pod("c", "Pending"), pod("d", "Succeeded")])
    assert used == {"sha256:a", "sha256:b", "sha256:c", "sha256:e"}
