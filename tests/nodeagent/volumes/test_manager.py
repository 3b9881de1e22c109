"""Volumes of pods on real directories and mounts."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeagent.pods.downward import NodeFacts
from nodeagent.runtime.syscalls import MS_BIND, mount
from nodeagent.volumes.manager import MountedVolume, SetUpFailed, VolumeManager
from nodeagent.volumes.payload import PodFacts, TokenRequest, VolumeError, VolumeSources, references
from nodeagent.volumes.teardown import is_mount_point, mounts_below, remove_tree
from tests.nodeagent.pods.test_plan import pod
from tiphys.api.core.pod import Pod
from tiphys.clock import SystemClock

FACTS = PodFacts(NodeFacts("n1", ("192.0.2.7",), {"cpu": "4"}), ("10.0.0.9",))


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[VolumeManager]:
    yield VolumeManager(tmp_path / "pods", SystemClock())
    remove_tree(tmp_path / "pods")
    assert not mounts_below(tmp_path)


def pod_with(*volumes: dict[str, Any], mounts: list[dict[str, Any]] | None = None, **spec: Any) -> Pod:
    container = {"name": "a", "image": "x", "volumeMounts": mounts or []}
    return pod({"volumes": list(volumes), "containers": [container], **spec}, labels={"app": "web"})


async def one(manager: VolumeManager, volume: dict[str, Any], sources: VolumeSources, **spec: Any) -> MountedVolume:
    mounted = await manager.set_up(pod_with({"name": "v", **volume}, **spec), sources, FACTS)
    return mounted["v"]


async def test_config_maps_secrets_and_the_downward_api_become_files(manager: VolumeManager) -> None:
    sources = VolumeSources({"cm": {"k": b"1", "l": b"2"}}, {"s": {"p": b"w"}}, {TokenRequest("", 3600): "tok"})
    config = await one(
        manager, {"configMap": {"name": "cm", "items": [{"key": "k", "path": "d/k", "mode": 256}]}}, sources
    )
    assert (config.path / "d/k").read_text() == "1"
    assert stat.S_IMODE((config.path / "d/k").stat().st_mode) == 0o400
    secret = await one(manager, {"secret": {"secretName": "s", "defaultMode": 0o440}}, sources)
    assert (secret.path / "p").read_text() == "w"
    assert is_mount_point(secret.path)
    assert os.statvfs(secret.path).f_flag & os.ST_NODEV
    downward = {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}
    assert (await one(manager, {"downwardAPI": downward}, sources)).path.joinpath("labels").read_text() == 'app="web"'
    projected = {
        "sources": [
            {"configMap": {"name": "cm"}},
            {"secret": {"name": "s", "items": [{"key": "p", "path": "pw"}]}},
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
        ]
    }
    both = await one(manager, {"projected": projected}, sources)
    assert {p.name: p.read_text() for p in both.path.iterdir() if not p.name.startswith("..")} == {
        "k": "1",
        "l": "2",
        "pw": "w",
        "token": "tok",
    }


async def test_a_change_of_the_object_appears_in_place(manager: VolumeManager) -> None:
    volume = {"configMap": {"name": "cm"}}
    before = await one(manager, volume, VolumeSources({"cm": {"k": b"1"}}))
    after = await one(manager, volume, VolumeSources({"cm": {"k": b"2"}}))
    assert before.path == after.path
    assert (after.path / "k").read_text() == "2"


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "no"}}, 'MountVolume.SetUp failed for volume "v" : configmap "no" not found'),
        ({"secret": {"secretName": "no"}}, 'MountVolume.SetUp failed for volume "v" : secret "no" not found'),
        (
            {"configMap": {"name": "cm", "items": [{"key": "no", "path": "x"}]}},
            'MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: no',
        ),
        ({"hostPath": {"path": "/proc/self/none", "type": "Directory"}}, "hostPath type check failed"),
        ({"gitRepo": {"repository": "x"}}, "not supported"),
    ],
)
async def test_what_cannot_be_set_up_says_why(manager: VolumeManager, volume: dict[str, Any], message: str) -> None:
    with pytest.raises(SetUpFailed) as failed:
        await one(manager, volume, VolumeSources({"cm": {"k": b"1"}}))
    assert message in str(failed.value)


async def test_an_optional_source_may_be_missing(manager: VolumeManager) -> None:
    made = await one(manager, {"configMap": {"name": "no", "optional": True}}, VolumeSources())
    assert [p.name for p in made.path.iterdir() if not p.name.startswith("..")] == []


async def test_an_empty_dir_keeps_its_content_and_its_group(manager: VolumeManager) -> None:
    context = {"securityContext": {"fsGroup": 1234}}
    made = await one(manager, {"emptyDir": {}}, VolumeSources(), **context)
    (made.path / "f").write_text("x")
    again = await one(manager, {"emptyDir": {}}, VolumeSources(), **context)
    assert (again.path / "f").read_text() == "x"
    info = again.path.stat()
    assert (info.st_gid, stat.S_IMODE(info.st_mode)) == (1234, 0o2777)


async def test_an_empty_dir_in_memory_has_its_size(manager: VolumeManager) -> None:
    made = await one(manager, {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}, VolumeSources())
    usage = os.statvfs(made.path)
    assert usage.f_blocks * usage.f_frsize == 1 << 20
    assert usage.f_flag & os.ST_NODEV
    assert usage.f_flag & os.ST_NOSUID


async def test_a_sub_path_is_pinned_and_no_link_leads_out(manager: VolumeManager, tmp_path: Path) -> None:
    mounts = [
        {"name": "v", "mountPath": "/m", "subPath": "in/side"},
        {"name": "v", "mountPath": "/n", "subPath": "link"},
    ]
    the_pod = pod_with({"name": "v", "emptyDir": {}}, mounts=mounts)
    volumes = await manager.set_up(the_pod, VolumeSources(), FACTS)
    outside = tmp_path / "outside"
    outside.mkdir()
    (volumes["v"].path / "link").symlink_to(outside)
    with pytest.raises(VolumeError, match="leads out"):
        manager.mounts(the_pod, the_pod.spec.containers[0], volumes, {})
    (volumes["v"].path / "link").unlink()
    (volumes["v"].path / "link").symlink_to("in")  # the control: a link that stays inside is followed
    made = manager.mounts(the_pod, the_pod.spec.containers[0], volumes, {})
    (Path(made[0].source) / "f").write_text("x")
    assert (volumes["v"].path / "in/side/f").read_text() == "x"
    assert (Path(made[1].source) / "side/f").read_text() == "x"


async def test_taking_down_follows_no_link_and_deletes_through_no_mount(manager: VolumeManager, tmp_path: Path) -> None:
    made = await one(manager, {"emptyDir": {}}, VolumeSources())
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "f").write_text("host")
    (made.path / "link").symlink_to(canary)
    (made.path / "bound").mkdir()
    mount(str(canary), str(made.path / "bound"), flags=MS_BIND)
    assert (made.path / "bound/f").read_text() == "host"  # the control: the mount does lead out
    await manager.tear_down("u1")
    assert (canary / "f").read_text() == "host"
    assert not manager.pod_dir("u1").exists()
    assert manager.known_pods() == []


def test_the_references_of_a_pod() -> None:
    projected = {"sources": [{"configMap": {"name": "c2"}}, {"serviceAccountToken": {"path": "t", "audience": "aud"}}]}
    the_pod = pod_with(
        {"name": "a", "configMap": {"name": "c1"}},
        {"name": "b", "secret": {"secretName": "s1"}},
        {"name": "c", "projected": projected},
    )
    assert references(the_pod) == ({"c1", "c2"}, {"s1"}, {TokenRequest("aud", 3600)})


async def test_an_image_is_in_use_as_long_as_its_volume(manager: VolumeManager, tmp_path: Path) -> None:
    (tmp_path / "layer").mkdir()
    made = await one(manager, {"image": {"reference": "registry/files:v1"}}, VolumeSources())
    assert not manager.has_image(made) and manager.images_in_use() == set()
    await manager.mount_image(made, "sha256:1", [tmp_path / "layer"])
    assert manager.has_image(made) and manager.images_in_use() == {"sha256:1"}
    assert made.read_only
    await manager.unmount("u1")
    assert manager.images_in_use() == set()


@pytest.mark.parametrize("source", ["clusterTrustBundle", "podCertificate"])
async def test_projections_without_support_are_named(manager: VolumeManager, source: str) -> None:
    fields = {"path": "x"} if source == "clusterTrustBundle" else {"signerName": "s", "keyType": "ED25519"}
    with pytest.raises(SetUpFailed, match=f"projected sources of type {source} are not supported on this node"):
        await one(manager, {"projected": {"sources": [{source: fields}]}}, VolumeSources())


async def test_a_trust_bundle_that_may_be_missing_is_an_empty_file(manager: VolumeManager) -> None:
    bundle = {"clusterTrustBundle": {"name": "b", "path": "ca.pem", "optional": True}}
    made = await one(manager, {"projected": {"sources": [bundle]}}, VolumeSources())
    assert (made.path / "ca.pem").read_bytes() == b""
