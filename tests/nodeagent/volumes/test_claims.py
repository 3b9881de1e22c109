"""Volumes of claims, with a real API server and the node's own identity: what it may see, make and remove."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from nodeagent.runtime.syscalls import MS_BIND, MS_RDONLY, mount, umount
from nodeagent.volumes.claims import ClaimVolumes
from nodeagent.volumes.localpath import LocalPathVolumes
from nodeagent.volumes.manager import SetUpFailed, VolumeManager
from nodeagent.volumes.payload import VolumeSources
from nodeagent.volumes.teardown import remove_tree
from tests.client.conftest import admin_config, client, pki_dir
from tests.client.server import config_of, eventually
from tests.controllers.running import default_account
from tests.controllers.volumes import claim, volume
from tests.nodeagent.volumes.test_manager import FACTS
from tiphys import pki
from tiphys.api.core.node import Node
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.api.core.volume_binding import (
    LOCAL_PATH_FINALIZER,
    LOCAL_PATH_NODE,
    LOCAL_PATH_PROVISIONER,
    PROVISIONED_BY,
)
from tiphys.client.config import ClientConfig
from tiphys.client.errors import ApiError
from tiphys.client.rest import Client
from tiphys.clock import SystemClock

__all__ = ["admin_config", "client", "pki_dir"]

LABELS = {"kubernetes.io/hostname": "n1"}
_MS_REMOUNT = 32
OURS: dict[str, Any] = {
    "annotations": {PROVISIONED_BY: LOCAL_PATH_PROVISIONER},
    "labels": {LOCAL_PATH_NODE: "n1"},
    "finalizers": [LOCAL_PATH_FINALIZER],
}


@pytest_asyncio.fixture
async def agent(client: Client, admin_config: ClientConfig, pki_dir: Path) -> AsyncIterator[Client]:
    """A client with the identity of node n1, which exists."""
    pki.ensure(pki_dir, [pki.node_identity("n1", ["127.0.0.1"])], SystemClock())
    await client.create(Node.model_validate({"metadata": {"name": "n1", "labels": LABELS}}))
    await default_account(client)
    port = int(admin_config.server.rpartition(":")[2])
    async with Client(config_of(pki_dir, port, "node-n1")) as own:
        yield own


class OneNode:
    """The volumes of node n1, as its agent has them."""

    def __init__(self, directory: Path, own: Client) -> None:
        self.root = directory / "local-path"
        self.local_path = LocalPathVolumes(self.root, own, "n1")
        self.claims = ClaimVolumes(own, self.local_path, "n1", lambda: LABELS)
        self.manager = VolumeManager(directory / "pods", SystemClock(), claims=self.claims)

    async def path_of(self, pod: Pod) -> Path:
        return (await self.manager.set_up(pod, VolumeSources(), FACTS))["v"].path

    async def refusal(self, pod: Pod) -> str:
        with pytest.raises(SetUpFailed) as failed:
            await self.path_of(pod)
        return str(failed.value)


@pytest.fixture
def node(tmp_path: Path, agent: Client) -> OneNode:
    return OneNode(tmp_path, agent)


def using(name: str, claim_name: str = "data") -> Pod:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": claim_name}}]
    spec: dict[str, Any] = {"automountServiceAccountToken": False, "nodeName": "n1"}
    spec |= {"containers": [{"name": "c", "image": "i"}], "volumes": volumes}
    return Pod.model_validate({"metadata": {"name": name, "namespace": "default"}, "spec": spec})


async def bind(admin: Client, wanted: PersistentVolume, name: str = "data", **fields: Any) -> PersistentVolumeClaim:
    """A claim and a volume that are bound to each other, as the controller leaves them."""
    made = await admin.create(
        PersistentVolumeClaim.model_validate(
            {
                "metadata": {"name": name, "namespace": "default"},
                "spec": claim(name, bound_to=wanted.metadata.name, **fields).spec.to_dict(),
            }
        )
    )
    held = wanted.to_dict()
    held["metadata"].pop("uid")
    held["spec"]["claimRef"] = {"namespace": "default", "name": name, "uid": made.metadata.uid}
    await admin.create(PersistentVolume.model_validate(held))
    status = {"status": {"phase": "Bound"}}
    return await admin.patch(PersistentVolumeClaim, name, "default", status, subresource="status")


def local(path: Path, name: str = "v", **fields: Any) -> PersistentVolume:
    return volume(name, node="n1", hostPath=None, local={"path": str(path)}, **fields)


async def test_a_pod_gets_the_volume_its_claim_is_bound_to(client: Client, node: OneNode, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    user = await client.create(using("user"))
    unattached = "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], "
    start = f"{unattached}failed to process volumes=[v]: error processing PVC default/data: "
    assert (await node.refusal(user)).startswith(f"{start}failed to fetch PVC from API server")
    await bind(client, local(tmp_path / "disk"))
    assert await node.path_of(user) == tmp_path / "disk"
    pending = {"status": {"phase": "Pending"}}
    await client.patch(PersistentVolumeClaim, "data", "default", pending, subresource="status")
    assert await node.path_of(user) == tmp_path / "disk", "what a pod has it keeps"
    node.claims.forget(user.metadata.uid)
    assert await node.refusal(user) == f"{start}PVC is not bound"


async def test_a_volume_that_names_another_claim_is_not_given_out(
    client: Client, node: OneNode, tmp_path: Path
) -> None:
    await bind(client, local(tmp_path))
    user = await client.create(using("user"))
    await client.patch(PersistentVolume, "v", "", {"spec": {"claimRef": {"uid": "another"}}})
    assert "found PV object v with a pv.Spec.ClaimRef.UID another" in await node.refusal(user)
    await client.patch(PersistentVolume, "v", "", {"spec": {"claimRef": None}})
    assert "error processing PVC default/data: failed to fetch PV v" in await node.refusal(user), "unrelated: forbidden"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"local": {"path": "/nowhere/at/all"}}, 'path "/nowhere/at/all" does not exist'),
        ({"local": {"path": "/dev/null"}}, 'path "/dev/null" is not a directory'),
        ({"local": None, "nfs": {"server": "127.0.0.1", "path": "/x"}}, "volumes of type nfs are not supported"),
        ({"node": "n2"}, "no matching NodeSelectorTerms"),
        ({"volumeMode": "Block"}, "volumeMode Block is not supported on this node"),
    ],
)
async def test_a_volume_that_cannot_be_had_says_why(
    client: Client, node: OneNode, changes: dict[str, Any], cause: str
) -> None:
    fields = {"volumeMode": changes["volumeMode"]} if "volumeMode" in changes else {}
    await bind(client, volume("v", **{"node": "n1", "hostPath": None, "local": {"path": "/"}, **changes}), **fields)
    refusal = await node.refusal(await client.create(using("user")))
    verb = "Map" if "volumeMode" in changes else "Mount"
    assert refusal.startswith(f'{verb}Volume.SetUp failed for volume "v" : {cause}')


async def test_a_volume_for_one_pod_serves_one_pod(client: Client, node: OneNode, tmp_path: Path) -> None:
    modes = ("ReadWriteOncePod",)
    await bind(client, local(tmp_path, modes=modes), modes=modes)
    first, second = await client.create(using("first")), await client.create(using("second"))
    await node.path_of(first)
    in_use = "volume uses the ReadWriteOncePod access mode and is already in use by another pod"
    assert in_use in await node.refusal(second)
    assert await node.path_of(first) == tmp_path
    await node.manager.tear_down(first.metadata.uid)
    assert await node.path_of(second) == tmp_path


async def test_a_directory_is_made_at_first_use_and_removed_after_its_volume(
    client: Client, node: OneNode, agent: Client
) -> None:
    await bind(client, local(node.root / "v", metadata=OURS, persistentVolumeReclaimPolicy="Delete"))
    user = await client.create(using("user"))
    path = await node.path_of(user)
    assert path == node.root / "v" and path.stat().st_mode & 0o777 == 0o777
    (path / "f").write_text("x")
    removing = asyncio.create_task(node.local_path.run())
    try:
        await client.delete(PersistentVolume, "v")
        await client.patch(PersistentVolume, "v", "", {"metadata": {"finalizers": [LOCAL_PATH_FINALIZER]}})
        await client.patch(PersistentVolume, "v", "", {"status": {"phase": "Bound"}}, subresource="status")
        assert (await client.get(PersistentVolume, "v")).metadata.deletionTimestamp
        assert (path / "f").exists(), "it is bound still"
        await client.patch(PersistentVolume, "v", "", {"status": {"phase": "Released"}}, subresource="status")

        async def gone() -> bool:
            return not (await client.list(PersistentVolume)).items

        await eventually(gone, "the volume to go")
        assert not path.exists() and node.root.exists()
    finally:
        removing.cancel()
        await asyncio.gather(removing, return_exceptions=True)


@pytest.mark.parametrize("case", ["retained", "elsewhere", "another's"])
async def test_nothing_is_removed_that_is_not_ours_to_remove(
    client: Client, node: OneNode, tmp_path: Path, case: str
) -> None:
    """A volume object names what it likes: only a directory of the root, of that very name, may go."""
    for name in ("kept", "v", "canary"):
        (node.root / name).mkdir(parents=True)
        (node.root / name / "f").write_text("x")
    path = {"retained": node.root / "v", "elsewhere": tmp_path, "another's": node.root / "canary"}[case]
    policy = "Retain" if case == "retained" else "Delete"
    made = local(path, metadata=OURS, persistentVolumeReclaimPolicy=policy)
    control = local(node.root / "kept", "kept", metadata=OURS, persistentVolumeReclaimPolicy="Delete")
    for one in (made, control):
        wire = one.to_dict()
        wire["metadata"].pop("uid")
        await client.create(PersistentVolume.model_validate(wire))
        await client.delete(PersistentVolume, one.metadata.name)
        finalizers = {"metadata": {"finalizers": [LOCAL_PATH_FINALIZER]}}
        await client.patch(PersistentVolume, one.metadata.name, "", finalizers)
        phase = {"status": {"phase": "Released"}}
        await client.patch(PersistentVolume, one.metadata.name, "", phase, subresource="status")
    removing = asyncio.create_task(node.local_path.run())

    async def control_gone() -> bool:
        left = {one.metadata.name for one in (await client.list(PersistentVolume)).items}
        return "kept" not in left and (case == "retained" or "v" not in left)

    try:
        await eventually(control_gone, "the control to be removed")
    finally:
        removing.cancel()
        await asyncio.gather(removing, return_exceptions=True)
    assert not (node.root / "kept").exists()
    assert (node.root / "v/f").exists() and (node.root / "canary/f").exists()
    remove_tree(node.root)


async def test_a_node_reads_and_changes_no_more_of_volumes_than_it_needs(client: Client, agent: Client) -> None:
    for name, labels in (("mine", OURS["labels"]), ("other", {LOCAL_PATH_NODE: "n2"})):
        wire = volume(name, metadata={**OURS, "labels": labels}).to_dict()
        wire["metadata"].pop("uid")
        await client.create(PersistentVolume.model_validate(wire))
    assert len((await agent.list(PersistentVolume, label_selector=f"{LOCAL_PATH_NODE}=n1")).items) == 1
    off: dict[str, Any] = {"metadata": {"finalizers": []}}
    for refused in (
        agent.list(PersistentVolume),
        agent.list(PersistentVolume, label_selector=f"{LOCAL_PATH_NODE}=n2"),
        agent.get(PersistentVolume, "other"),
        agent.patch(PersistentVolume, "mine", "", off),  # nobody deletes it
        agent.patch(PersistentVolume, "other", "", off),
        agent.delete(PersistentVolume, "mine"),
    ):
        with pytest.raises(ApiError) as error:
            await refused
        assert error.value.code == 403
    await client.delete(PersistentVolume, "mine")
    for change in ({"spec": {"persistentVolumeReclaimPolicy": "Delete"}}, {"metadata": {"labels": {"a": "b"}}}, off):
        with pytest.raises(ApiError, match="can only remove the finalizer"):
            await agent.patch(PersistentVolume, "mine", "", change)
    left = [
        one for one in (await client.get(PersistentVolume, "mine")).metadata.finalizers if one != LOCAL_PATH_FINALIZER
    ]
    done = await agent.patch(PersistentVolume, "mine", "", {"metadata": {"finalizers": left}})
    assert LOCAL_PATH_FINALIZER not in done.metadata.finalizers


async def test_a_directory_that_cannot_be_removed_keeps_its_volume(
    client: Client, agent: Client, tmp_path: Path
) -> None:
    """Nothing is said to be gone that is there; the next try succeeds."""
    volumes = LocalPathVolumes(tmp_path / "root", agent, "n1")
    stuck = tmp_path / "root/v"
    stuck.mkdir(parents=True)
    (stuck / "f").write_text("x")
    wire = local(stuck, metadata=OURS, persistentVolumeReclaimPolicy="Delete").to_dict()
    wire["metadata"].pop("uid")
    await client.create(PersistentVolume.model_validate(wire))
    await client.delete(PersistentVolume, "v")
    status = {"status": {"phase": "Released"}}
    held = await client.patch(PersistentVolume, "v", "", status, subresource="status")
    root = str(volumes.root)
    mount(root, root, flags=MS_BIND)
    mount("none", root, flags=_MS_REMOUNT | MS_BIND | MS_RDONLY)
    try:
        with pytest.raises(OSError, match="Read-only file system"):
            await volumes._remove(held)
    finally:
        umount(root)
    assert LOCAL_PATH_FINALIZER in (await client.get(PersistentVolume, "v")).metadata.finalizers
    await volumes._remove(held)
    assert not stuck.exists()
    assert LOCAL_PATH_FINALIZER not in (await client.get(PersistentVolume, "v")).metadata.finalizers
