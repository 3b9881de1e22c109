"""Claims and volumes are bound, released, lost and reclaimed as upstream's controller does it."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from controllers.localpath import LocalPathProvisioner, LocalPathReclaimer
from controllers.persistentvolumebinder import PersistentVolumeClaimBinder, PersistentVolumeKeeper
from controllers.persistentvolumebinder_plan import plan_claim, plan_volume
from tests.client.server import eventually
from tests.controllers.running import controllers
from tests.controllers.volumes import claim, reference, storage_class, volume
from tiphys.api.core.event import Event
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.volume_binding import BIND_COMPLETED, BOUND_BY_CONTROLLER, PROVISIONED_BY, SELECTED_NODE
from tiphys.api.storage.storageclass import StorageClass
from tiphys.client.controller import Environment
from tiphys.client.errors import ApiError
from tiphys.client.events import EventRecorder
from tiphys.client.informers import Informers
from tiphys.client.rest import Client

CLASSES = {
    "now": storage_class("now"),
    "later": storage_class("later", waits=True),
    "static": storage_class("static", provisioner="kubernetes.io/no-provisioner"),
}
PICKED = {SELECTED_NODE: "n1"}
MADE = {"annotations": {PROVISIONED_BY: "example.com/disk"}}


@pytest.mark.parametrize(
    ("wanted", "volumes", "reason", "bound"),
    [
        (claim(), [], "FailedBinding", ""),
        (claim(), [volume()], "", "v"),
        (claim(storage_class="now"), [volume()], "ExternalProvisioning", ""),
        (claim(storage_class="later"), [volume(storage_class="later")], "WaitForFirstConsumer", ""),
        (claim(storage_class="later", annotations=PICKED), [], "ExternalProvisioning", ""),
        (claim(storage_class="static"), [], "ProvisioningFailed", ""),
        (claim(storage_class="nowhere"), [], "ProvisioningFailed", ""),
        (claim(volumeName="v"), [], "", ""),
        (claim(volumeName="v"), [volume()], "", "v"),
        (claim(volumeName="v"), [volume(size="1Mi")], "VolumeMismatch", ""),
        (claim(volumeName="v"), [volume(claimRef=reference(claim("other")))], "FailedBinding", ""),
        (claim(volumeName="v"), [volume(claimRef=reference(claim()))], "", "v"),
        (claim(bound_to="v"), [volume(claimRef=reference(claim()))], "", "v"),
        (claim(bound_to="v"), [volume()], "", "v"),
        (claim(bound_to="v"), [volume("other")], "ClaimLost", ""),
        (claim(bound_to="v"), [volume(claimRef=reference(claim(), uid="another"))], "ClaimMisbound", ""),
    ],
)
def test_what_becomes_of_a_claim(
    wanted: PersistentVolumeClaim, volumes: list[PersistentVolume], reason: str, bound: str
) -> None:
    plan = plan_claim(wanted, {one.metadata.name: one for one in volumes}, CLASSES)
    assert (plan.event[1] if plan.event else "") == reason
    assert (plan.bind.metadata.name if plan.bind else "") == bound
    assert plan.phase == ("" if bound else "Lost" if wanted.status.phase == "Bound" else "Pending")


def test_the_default_class_is_filled_in_only_where_nothing_was_said() -> None:
    classes = {**CLASSES, "std": storage_class("std", default=True)}
    assert plan_claim(claim(storage_class=None), {}, classes).set_class == "std"
    assert plan_claim(claim(storage_class=None), {"v": volume()}, classes).bind is not None
    assert plan_claim(claim(storage_class=""), {}, classes).set_class == ""


def test_pods_that_wait_for_a_node_are_named() -> None:
    plan = plan_claim(claim(storage_class="later"), {}, CLASSES, ["b", "a"])
    assert plan.event == ("Normal", "WaitForPodScheduled", "waiting for pods a,b to be scheduled")


@pytest.mark.parametrize(
    ("spec", "found", "phase", "unbind"),
    [
        ({}, None, "Available", False),
        ({"claimRef": reference(claim(), uid="")}, claim(), "Available", False),
        ({"claimRef": reference(claim())}, claim(), "", False),
        ({"claimRef": reference(claim())}, claim(bound_to="v"), "Bound", False),
        ({"claimRef": reference(claim())}, claim(bound_to="other"), "Available", True),
        ({"claimRef": reference(claim())}, None, "Released", False),
        ({"claimRef": reference(claim(), uid="old")}, claim(), "Released", False),
        ({"claimRef": reference(claim()), "persistentVolumeReclaimPolicy": "Delete"}, None, "Failed", False),
        ({"claimRef": reference(claim()), "persistentVolumeReclaimPolicy": "Recycle"}, None, "Failed", False),
        (
            {"claimRef": reference(claim()), "persistentVolumeReclaimPolicy": "Delete", "metadata": MADE},
            None,
            "Released",
            False,
        ),
    ],
)
def test_what_becomes_of_a_volume(
    spec: dict[str, Any], found: PersistentVolumeClaim | None, phase: str, unbind: bool
) -> None:
    plan = plan_volume(volume(phase="Pending", **spec), found)
    assert (plan.phase, plan.unbind) == (phase, unbind)
    assert (plan.event is not None) == (phase == "Failed")


def phase_is(client: Client, kind: Any, name: str, phase: str) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        namespace = "default" if kind is PersistentVolumeClaim else ""
        found = await client.get(kind, name, namespace)
        return bool(found.status.phase == phase)

    return holds


def wire(obj: PersistentVolume | PersistentVolumeClaim) -> Any:
    """As a user writes it."""
    content = obj.to_dict()
    content.pop("status", None)
    content["metadata"] = {
        key: value for key, value in content["metadata"].items() if key in ("name", "namespace", "annotations")
    }
    return type(obj).model_validate(content)


async def test_a_claim_is_bound_and_its_volume_kept_for_it_after_it_is_gone(client: Client) -> None:
    async with controllers(client, PersistentVolumeClaimBinder, PersistentVolumeKeeper):
        await client.create(wire(claim(size="2Gi")))
        await eventually(phase_is(client, PersistentVolumeClaim, "data", "Pending"), "the claim to wait")
        await client.create(wire(volume("small", "1Gi")))
        await client.create(wire(volume("big", "4Gi")))
        await eventually(phase_is(client, PersistentVolumeClaim, "data", "Bound"), "the claim to be bound")
        await eventually(phase_is(client, PersistentVolume, "big", "Bound"), "the volume to be bound")
        await eventually(phase_is(client, PersistentVolume, "small", "Available"), "the other to be free")
        bound = await client.get(PersistentVolumeClaim, "data", "default")
        assert (bound.spec.volumeName, bound.status.capacity) == ("big", {"storage": "4Gi"})
        held = await client.get(PersistentVolume, "big")
        assert held.spec.claimRef is not None and held.spec.claimRef.uid == bound.metadata.uid
        assert held.status.lastPhaseTransitionTime
        events = (await client.list(Event, "default")).items
        assert "FailedBinding" in {event.reason for event in events}
        await client.patch(PersistentVolumeClaim, "data", "default", {"metadata": {"finalizers": None}})
        await client.delete(PersistentVolumeClaim, "data", "default")
        await eventually(phase_is(client, PersistentVolume, "big", "Released"), "the volume to be released")
        await client.create(wire(claim(size="2Gi")))
        await eventually(phase_is(client, PersistentVolumeClaim, "data", "Pending"), "the new claim to wait")
        again = await client.get(PersistentVolume, "big")
        assert again.spec.claimRef is not None and again.spec.claimRef.uid == bound.metadata.uid
        await client.patch(PersistentVolume, "big", "", {"spec": {"claimRef": None}})
        await eventually(phase_is(client, PersistentVolumeClaim, "data", "Bound"), "the freed volume to be taken")


async def test_a_claim_that_loses_its_volume_is_lost(client: Client) -> None:
    async with controllers(client, PersistentVolumeClaimBinder, PersistentVolumeKeeper):
        await client.create(wire(volume()))
        await client.create(wire(claim()))
        await eventually(phase_is(client, PersistentVolumeClaim, "data", "Bound"), "the claim to be bound")
        await client.delete(PersistentVolume, "v")
        await client.patch(PersistentVolume, "v", "", {"metadata": {"finalizers": None}})
        await eventually(phase_is(client, PersistentVolumeClaim, "data", "Lost"), "the claim to be lost")


async def test_a_claim_without_a_class_gets_the_default_one_later(client: Client) -> None:
    async with controllers(client, PersistentVolumeClaimBinder, PersistentVolumeKeeper):
        await client.create(wire(claim(storage_class=None)))
        await client.create(StorageClass.model_validate(storage_class("std", waits=True, default=True).to_dict()))

        async def filled_in() -> bool:
            found = await client.get(PersistentVolumeClaim, "data", "default")
            return found.spec.storageClassName == "std"

        await eventually(filled_in, "the default class to be filled in")


@pytest.mark.parametrize("steps", range(4))
async def test_a_binding_cut_off_after_any_step_is_finished(client: Client, steps: int) -> None:
    """What a controller that was killed after its n-th write leaves behind."""
    made = await client.create(wire(claim()))
    await client.create(wire(volume()))
    owner = {**reference(claim(), uid=made.metadata.uid), "apiVersion": "v1"}
    notes = {"metadata": {"annotations": {BIND_COMPLETED: "yes", BOUND_BY_CONTROLLER: "yes"}}}
    if steps > 0:
        by_us = {"metadata": {"annotations": {BOUND_BY_CONTROLLER: "yes"}}}
        await client.patch(PersistentVolume, "v", "", {**by_us, "spec": {"claimRef": owner}})
    if steps > 1:
        await client.patch(PersistentVolume, "v", "", {"status": {"phase": "Bound"}}, subresource="status")
    if steps > 2:
        await client.patch(PersistentVolumeClaim, "data", "default", {**notes, "spec": {"volumeName": "v"}})
    async with controllers(client, PersistentVolumeClaimBinder, PersistentVolumeKeeper):
        await eventually(phase_is(client, PersistentVolumeClaim, "data", "Bound"), "the claim to be bound")
        await eventually(phase_is(client, PersistentVolume, "v", "Bound"), "the volume to be bound")
    held = await client.get(PersistentVolume, "v")
    assert held.spec.claimRef is not None and held.spec.claimRef.uid == made.metadata.uid


async def test_many_claims_get_a_volume_each(client: Client) -> None:
    async with controllers(client, PersistentVolumeClaimBinder, PersistentVolumeKeeper):
        for number in range(12):
            await client.create(wire(claim(f"c{number}")))
            await client.create(wire(volume(f"v{number}")))

        async def all_bound() -> bool:
            found = (await client.list(PersistentVolumeClaim, "default")).items
            return all(one.status.phase == "Bound" for one in found)

        await eventually(all_bound, "all claims to be bound")
    claims = {one.metadata.name: one for one in (await client.list(PersistentVolumeClaim, "default")).items}
    assert len({one.spec.volumeName for one in claims.values()}) == 12
    for held in (await client.list(PersistentVolume)).items:
        assert held.spec.claimRef is not None
        assert claims[held.spec.claimRef.name].spec.volumeName == held.metadata.name


async def test_no_address_in_a_class_or_a_volume_is_ever_spoken_to(client: Client) -> None:
    """Hostile parameters and sources: objects are decided on, nothing is connected to.  The control connects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        url = f"http://{address}/x"
        parameters = {"resturl": url, "endpoint": url, "path": "../../etc"}
        for name, provisioner in (("theirs", "kubernetes.io/glusterfs"), ("ours", "tiphys.dev/local-path")):
            made = storage_class(name, provisioner=provisioner, parameters=parameters)
            await client.create(StorageClass.model_validate(made.to_dict()))
        sources: list[dict[str, Any]] = [
            {"nfs": {"server": "127.0.0.1", "path": "/"}},
            {"iscsi": {"targetPortal": address, "iqn": "iqn.2001-04.com.example:x", "lun": 0}},
            {"csi": {"driver": "d.example.com", "volumeHandle": url}},
        ]
        for number, source in enumerate(sources):
            owner = reference(claim(f"c{number}"), uid="gone")
            spec: dict[str, Any] = {"claimRef": owner, "persistentVolumeReclaimPolicy": "Delete", **source}
            await client.create(wire(volume(f"v{number}", hostPath=None, **spec)))
        parts = (PersistentVolumeClaimBinder, PersistentVolumeKeeper, LocalPathProvisioner, LocalPathReclaimer)
        async with controllers(client, *parts):
            for name in ("theirs", "ours"):
                await client.create(wire(claim(name, storage_class=name, annotations=PICKED)))
                await eventually(phase_is(client, PersistentVolumeClaim, name, "Pending"), f"{name} to be decided on")
            for number in range(len(sources)):
                await eventually(phase_is(client, PersistentVolume, f"v{number}", "Failed"), "the volumes to be let go")

            async def refused() -> bool:
                events = (await client.list(Event, "default")).items
                return any("neither parameters nor mountOptions" in one.message for one in events)

            await eventually(refused, "the parameters to be refused")
        with socket.create_connection(listener.getsockname()) as control:
            peer, seen = listener.accept()
            peer.close()
            assert seen == control.getsockname(), "somebody else was first"


async def test_a_volume_that_changed_since_it_was_chosen_is_not_taken(client: Client) -> None:
    made = await client.create(wire(claim()))
    seen = await client.create(wire(volume()))
    await client.patch(PersistentVolume, "v", "", {"spec": {"claimRef": reference(claim("faster"))}})
    async with Informers(client) as informers:
        binder = PersistentVolumeClaimBinder(Environment(client, informers, EventRecorder(client, "test")))
        with pytest.raises(ApiError) as conflict:
            await binder._bind(seen, made)
    assert conflict.value.code == 409
    held = await client.get(PersistentVolume, "v")
    assert held.spec.claimRef is not None and held.spec.claimRef.name == "faster"
