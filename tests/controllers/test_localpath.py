"""The built-in class makes volumes on the chosen node, and only from paths that the node announced."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.localpath import CannotProvision, LocalPathProvisioner, LocalPathReclaimer, is_plain_path, volume_for
from controllers.persistentvolumebinder import PersistentVolumeClaimBinder, PersistentVolumeKeeper
from controllers.persistentvolumeexpander import PersistentVolumeExpander
from tests.client.server import eventually
from tests.controllers.running import controllers
from tests.controllers.test_persistentvolumebinder import phase_is, wire
from tests.controllers.volumes import claim, storage_class
from tiphys.api.core.event import Event
from tiphys.api.core.node import Node
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.volume_binding import LOCAL_PATH_FINALIZER, LOCAL_PATH_ROOT, SELECTED_NODE
from tiphys.api.storage.storageclass import StorageClass
from tiphys.client.rest import Client

OURS = "tiphys.dev/local-path"
PICKED = {SELECTED_NODE: "n1"}


def local_class(**fields: Any) -> StorageClass:
    return storage_class("local-path", waits=True, provisioner=OURS, **fields)


def machine(root: str = "/data/local-path", name: str = "n1") -> Node:
    labels = {"kubernetes.io/hostname": name}
    return Node.model_validate({"metadata": {"name": name, "labels": labels, "annotations": {LOCAL_PATH_ROOT: root}}})


def test_a_volume_is_a_directory_of_the_chosen_node() -> None:
    made = volume_for(claim(size="3Gi", storage_class="local-path", annotations=PICKED), local_class(), machine())
    assert made.spec.local is not None and made.spec.local.path == "/data/local-path/pvc-uid-data"
    assert made.spec.capacity == {"storage": "3Gi"}
    assert made.spec.persistentVolumeReclaimPolicy == "Delete"
    assert made.spec.claimRef is not None and made.spec.claimRef.uid == "uid-data"
    assert made.metadata.finalizers == [LOCAL_PATH_FINALIZER]


@pytest.mark.parametrize(
    ("wanted", "found", "node", "cause"),
    [
        ({}, local_class(parameters={"url": "http://127.0.0.1/"}), machine(), "neither parameters"),
        ({}, local_class(parameters={"path": "../../etc"}), machine(), "neither parameters"),
        ({"annotations": {}}, local_class(), machine(), "WaitForFirstConsumer"),
        ({"volumeMode": "Block"}, local_class(), machine(), "block volumes"),
        ({"modes": ("ReadWriteMany",)}, local_class(), machine(), "access modes"),
        ({"selector": {}}, local_class(), machine(), "Selector"),
        ({"dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}}, local_class(), machine(), "data sources"),
        ({}, local_class(), None, "does not exist"),
        *(({}, local_class(), machine(root), "offers no") for root in ("", "/", "rel", "/a/../etc", "/a//b", "/a/")),
    ],
)
def test_what_cannot_be_provided_is_refused_with_its_cause(
    wanted: dict[str, Any], found: StorageClass, node: Node | None, cause: str
) -> None:
    with pytest.raises(CannotProvision, match=cause):
        volume_for(claim(storage_class="local-path", **{"annotations": PICKED, **wanted}), found, node)


def test_a_plain_path_says_where_it_leads() -> None:
    assert [is_plain_path(path) for path in ("/a", "/a/b.c", "/..", "/a/.", "a", "", "/a\0")] == [
        *(True, True),
        *(False,) * 5,
    ]


async def test_a_claim_gets_a_volume_grows_and_gives_it_back(client: Client) -> None:
    await client.create(Node.model_validate(machine().to_dict()))
    await client.create(StorageClass.model_validate(local_class(allowVolumeExpansion=True).to_dict()))
    async with controllers(
        client,
        PersistentVolumeClaimBinder,
        PersistentVolumeKeeper,
        LocalPathProvisioner,
        LocalPathReclaimer,
        PersistentVolumeExpander,
    ):
        await client.create(wire(claim(storage_class="local-path")))
        await eventually(phase_is(client, PersistentVolumeClaim, "data", "Pending"), "the claim to wait")
        note = {"metadata": {"annotations": PICKED}}  # as the scheduler does
        await client.patch(PersistentVolumeClaim, "data", "default", note)
        await eventually(phase_is(client, PersistentVolumeClaim, "data", "Bound"), "the claim to be bound")
        bound = await client.get(PersistentVolumeClaim, "data", "default")
        name = bound.spec.volumeName
        assert name == f"pvc-{bound.metadata.uid}"
        reasons = {event.reason for event in (await client.list(Event, "default")).items}
        assert {"WaitForFirstConsumer", "ExternalProvisioning", "Provisioning"} <= reasons

        more = {"spec": {"resources": {"requests": {"storage": "5Gi"}}}}
        await client.patch(PersistentVolumeClaim, "data", "default", more)

        async def grown() -> bool:
            found = await client.get(PersistentVolumeClaim, "data", "default")
            return found.status.capacity == {"storage": "5Gi"}

        await eventually(grown, "the claim to grow")
        assert (await client.get(PersistentVolume, name)).spec.capacity == {"storage": "5Gi"}

        await client.patch(PersistentVolumeClaim, "data", "default", {"metadata": {"finalizers": None}})
        await client.delete(PersistentVolumeClaim, "data", "default")

        async def deleted() -> bool:
            return bool((await client.get(PersistentVolume, name)).metadata.deletionTimestamp)

        await eventually(deleted, "the volume to be deleted")
        held = await client.get(PersistentVolume, name)
        assert LOCAL_PATH_FINALIZER in held.metadata.finalizers, "the directory is still there: the node decides"
        await client.delete(Node, "n1")

        async def let_go() -> bool:
            left = (await client.list(PersistentVolume)).items
            return all(LOCAL_PATH_FINALIZER not in one.metadata.finalizers for one in left)

        await eventually(let_go, "nobody to wait for a node that is gone")
