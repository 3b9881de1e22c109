"""What a pod takes on disk."""

from pathlib import Path
from typing import Any

from nodeagent.runtime.interface import ContainerSpec, ContainerStatus
from nodeagent.stats.disk import DiskUsage
from tiphys.api.core.pod import Pod
from tiphys.clock import SystemClock

SPEC = {
    "containers": [{"name": "main", "image": "x"}],
    "volumes": [
        {"name": "scratch", "emptyDir": {}},
        {"name": "conf", "configMap": {"name": "c"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "claim"}},
    ],
}
POD = Pod.model_validate({"metadata": {"name": "p", "namespace": "ns", "uid": "u1"}, "spec": SPEC})
STATUS = ContainerStatus("c1", ContainerSpec("c1", "u1", "main", ("x",), (), Path("0.log")), "running")


def write(path: Path, kibibytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * (kibibytes << 10))


def usage(root: Path, **paths: Any) -> DiskUsage:
    return DiskUsage(SystemClock(), root / "containers", root / "pods", lambda _: paths)


async def test_layers_logs_and_local_volumes_count_and_claims_have_their_own(tmp_path: Path) -> None:
    write(tmp_path / "containers/c1/upper/data/file", 100)
    write(tmp_path / "logs/main/0.log", 50)
    write(tmp_path / "pods/u1/volumes/kubernetes.io~empty-dir/scratch/file", 200)
    write(tmp_path / "claim/file", 400)
    found = await usage(tmp_path, data=tmp_path / "claim").of_pod(POD, [STATUS], tmp_path / "logs")
    assert 150 << 10 <= found.container("main").bytes < 190 << 10
    assert found.container("main").inodes == 5
    assert 350 << 10 <= found.total().bytes < 400 << 10
    claim = found.volumes[-1]
    assert (claim.name, claim.claim, claim.local) == ("data", "claim", False)
    assert claim.own is not None and claim.own.capacity_bytes > 400 << 10


async def test_a_measure_is_kept_for_as_long_as_the_caller_bears(tmp_path: Path) -> None:
    disk = usage(tmp_path)
    write(tmp_path / "logs/main/0.log", 50)
    first = await disk.of_pod(POD, [STATUS], tmp_path / "logs")
    write(tmp_path / "logs/main/1.log", 500)
    assert await disk.of_pod(POD, [STATUS], tmp_path / "logs") is first
    disk.forget_all_but([])
    assert (await disk.of_pod(POD, [STATUS], tmp_path / "logs", 0.0)).total().bytes > first.total().bytes + (400 << 10)


async def test_a_link_out_of_the_layer_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere/large", 1000)
    (tmp_path / "containers/c1/upper").mkdir(parents=True)
    (tmp_path / "containers/c1/upper/link").symlink_to(tmp_path / "elsewhere")
    assert (await usage(tmp_path).of_pod(POD, [STATUS], tmp_path / "logs")).total().bytes < 50 << 10
