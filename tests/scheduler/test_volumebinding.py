"""Pods with claims go where their volumes are or can be made, and wait for the binding."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controllers.localpath import LocalPathProvisioner
from controllers.persistentvolumebinder import PersistentVolumeClaimBinder, PersistentVolumeKeeper
from scheduler.framework import Decision, choose
from scheduler.plugins import FILTERS, SCORERS
from scheduler.plugins.volumebinding import choose_volumes
from scheduler.scheduler import Scheduler
from scheduler.snapshot import Snapshot
from scheduler.volumes import StorageView
from tests.client.conftest import admin_config, client, pki_dir
from tests.client.server import eventually
from tests.controllers.running import controllers, default_account
from tests.controllers.test_localpath import local_class, machine
from tests.controllers.test_persistentvolumebinder import wire
from tests.controllers.volumes import claim, reference, storage_class, volume
from tests.scheduler.objects import make_node, make_pod
from tiphys.api.core.node import Node
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.api.core.volume_binding import SELECTED_NODE
from tiphys.api.storage.storageclass import StorageClass
from tiphys.client.events import EventRecorder
from tiphys.client.rest import Client
from tiphys.clock import SystemClock

__all__ = ["admin_config", "client", "pki_dir"]

USES_DATA: dict[str, Any] = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}
CLASSES = [
    storage_class("now"),
    storage_class("later", waits=True),
    storage_class("static", waits=True, provisioner="kubernetes.io/no-provisioner"),
]
NODES = [make_node(name, labels={"kubernetes.io/hostname": name}) for name in ("n1", "n2")]


def decide(view: StorageView, *nodes: Node, pod: Any = None, placed: Any = ()) -> Decision:
    snapshot = Snapshot()
    snapshot.storage = view
    for node in nodes or NODES:
        snapshot.set_node(node)
    for other in placed:
        snapshot.add_pod(other, "n1")
    return choose(pod or make_pod(**USES_DATA), snapshot, FILTERS, SCORERS, 0)


def view_of(*objects: PersistentVolumeClaim | PersistentVolume) -> StorageView:
    claims = [one for one in objects if isinstance(one, PersistentVolumeClaim)]
    return StorageView(claims, [one for one in objects if isinstance(one, PersistentVolume)], CLASSES)


@pytest.mark.parametrize(
    ("objects", "node", "reason"),
    [
        ([], "", 'persistentvolumeclaim "data" not found.'),
        ([claim()], "", "pod has unbound immediate PersistentVolumeClaims."),
        ([claim(storage_class="now")], "", "pod has unbound immediate PersistentVolumeClaims."),
        ([claim(bound_to="v", phase="Lost")], "", 'persistentvolumeclaim "data" bound to non-existent'),
        ([claim(bound_to="v")], "", "2 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)."),
        ([claim(bound_to="v"), volume(node="n2")], "n2", ""),
        ([claim(bound_to="v"), volume(node="n3")], "", "2 node(s) didn't match PersistentVolume's node affinity."),
        ([claim(storage_class="static")], "", "2 node(s) didn't find available persistent volumes to bind."),
        ([claim(storage_class="static"), volume(storage_class="static", node="n2")], "n2", ""),
        ([claim(storage_class="later", annotations={SELECTED_NODE: "n2"})], "n2", ""),
        ([claim(storage_class="later")], "n1", ""),
    ],
)
def test_a_node_must_reach_the_volumes(objects: list[Any], node: str, reason: str) -> None:
    decision = decide(view_of(*objects))
    assert decision.node == node
    assert bool(node) or decision.message().startswith(f"0/2 nodes are available: {reason}")


def test_two_claims_of_a_pod_get_two_volumes_and_nobody_gets_a_promised_one() -> None:
    claims = [claim("data", "2Gi", storage_class="static"), claim("log", storage_class="static")]
    volumes = [volume("small", "1Gi", storage_class="static"), volume("big", "3Gi", storage_class="static")]
    two = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in ("data", "log")]
    pod, view = make_pod(volumes=two).pod, view_of(*claims, *volumes)
    choice = choose_volumes(pod, view, "n1", {})
    assert {one.metadata.name: found.metadata.name for found, one in choice.existing} == {"data": "big", "log": "small"}
    view.claims.update(view_of(claim("other", storage_class="static")).claims)
    other = make_pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "other"}}])
    assert decide(view, pod=other).node == "n1"
    view.assume(choice)
    assert decide(view, pod=other).node == ""
    view.volume_changed(None, volume("small", storage_class="static", claimRef=reference(claim("log"))))
    assert decide(view, pod=other).node == "", "the informer shows whose it is"
    view.forget(choice)
    assert decide(view, pod=other).node == "n1"


def test_a_class_may_be_offered_in_some_places_only() -> None:
    zones = [{"matchLabelExpressions": [{"key": "zone", "values": ["b"]}]}]
    classes = [storage_class("zonal", waits=True, allowedTopologies=zones)]
    nodes = [make_node("a", labels={"zone": "a"}), make_node("b", labels={"zone": "b"})]
    assert decide(StorageView([claim(storage_class="zonal")], [], classes), *nodes).node == "b"


def test_a_claim_for_one_pod_serves_one_pod() -> None:
    view = view_of(claim(bound_to="v", modes=("ReadWriteOncePod",)), volume(modes=("ReadWriteOncePod",)))
    user = make_pod("user", **USES_DATA)
    assert decide(view).node
    refused = decide(view, placed=[user])
    reason = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
    assert refused.message().startswith(f"0/2 nodes are available: 2 {reason}.")
    assert decide(view_of(claim(bound_to="v"), volume()), placed=[user]).node


@pytest.mark.parametrize(("zone", "node"), [("z1", "a"), ("z2__z3", "b"), ("z4", "")])
def test_a_volume_stays_in_its_zone(zone: str, node: str) -> None:
    nodes = [make_node("a", labels={"topology.kubernetes.io/zone": "z1"})]
    nodes.append(make_node("b", labels={"failure-domain.beta.kubernetes.io/zone": "z2"}))
    labelled = volume(metadata={"labels": {"topology.kubernetes.io/zone": zone}})
    assert decide(view_of(claim(bound_to="v"), labelled), *nodes).node == node


async def test_the_pod_is_bound_after_its_claim(client: Client) -> None:
    """Scheduler, binder and provisioner together: the claim learns the node, gets its volume, the pod follows."""
    await default_account(client)
    node = machine().to_dict()
    node["status"] = {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"}}
    await client.create(Node.model_validate(node))
    await client.create(StorageClass.model_validate(local_class().to_dict()))
    await client.patch(Node, "n1", "", {"status": node["status"]}, subresource="status")
    await client.patch(Node, "n1", "", {"spec": {"taints": None}})
    recorder = EventRecorder(client, "default-scheduler")
    scheduler = Scheduler(client, recorder, SystemClock(), Random(1), CollectorRegistry())
    parts = (PersistentVolumeClaimBinder, PersistentVolumeKeeper, LocalPathProvisioner)
    async with controllers(client, *parts, lambda _: scheduler):
        spec = {"containers": [{"name": "c", "image": "i"}], **USES_DATA}
        await client.create(Pod.model_validate({"metadata": {"name": "p", "namespace": "default"}, "spec": spec}))

        async def refused() -> bool:
            found = await client.get(Pod, "p", "default")
            return any("not found" in one.message for one in found.status.conditions)

        await eventually(refused, "the pod to be refused for want of its claim")
        await client.create(wire(claim(storage_class="local-path")))

        async def assigned() -> bool:
            return (await client.get(Pod, "p", "default")).spec.nodeName == "n1"

        await eventually(assigned, "the pod to get its node")
        bound = await client.get(PersistentVolumeClaim, "data", "default")
        assert bound.status.phase == "Bound" or bound.spec.volumeName
        assert bound.metadata.annotations[SELECTED_NODE] == "n1"
    await recorder.stop()
