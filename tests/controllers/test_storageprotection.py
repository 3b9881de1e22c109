"""Claims stay while a pod uses them, volumes while they are bound; then they go."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.storageprotection import (
    CLAIM_FINALIZER,
    PVCProtectionController,
    PVProtectionController,
    claims_of,
    in_use,
    without,
)
from tests.client.server import eventually
from tests.controllers.objects import pod as pod_object
from tests.controllers.running import controllers, default_account
from tests.controllers.test_small_controllers import exists
from tiphys.api.core.persistentvolume import PersistentVolume
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.client.rest import Client

CLAIM = {
    "metadata": {"name": "data", "namespace": "default"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
USER: dict[str, Any] = {
    "metadata": {"name": "user", "namespace": "default"},
    "spec": {
        "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
    },
}


def test_a_pod_uses_its_claims_and_those_of_its_ephemeral_volumes() -> None:
    spec = {"volumes": [*USER["spec"]["volumes"], {"name": "scratch", "ephemeral": {}}, {"name": "e", "emptyDir": {}}]}
    pod = Pod.model_validate({**USER, "spec": spec})
    assert claims_of(pod) == ["default/data", "default/user-scratch"]


@pytest.mark.parametrize(("phases", "used"), [([], False), (["Running"], True), (["Succeeded", "Failed"], False)])
def test_a_pod_that_has_ended_uses_nothing(phases: list[str], used: bool) -> None:
    assert in_use([pod_object(phase, phase=phase) for phase in phases]) is used


def test_only_our_finalizer_is_taken_off() -> None:
    assert without(["a", CLAIM_FINALIZER, "b"], CLAIM_FINALIZER) == ["a", "b"]


async def test_a_claim_goes_with_the_last_pod_that_uses_it(client: Client) -> None:
    await default_account(client)
    claim = await client.create(PersistentVolumeClaim.model_validate(CLAIM))
    assert claim.metadata.finalizers == [CLAIM_FINALIZER]
    await client.create(Pod.model_validate(USER))
    async with controllers(client, PVCProtectionController):
        await client.delete(PersistentVolumeClaim, "data", "default")
        held = await client.get(PersistentVolumeClaim, "data", "default")
        assert held.metadata.deletionTimestamp
        await client.delete(Pod, "user", "default", grace_period_seconds=0)

        async def gone() -> bool:
            return not await exists(client, PersistentVolumeClaim, "data", "default")

        await eventually(gone, "the claim to go")


async def test_an_unbound_volume_goes_at_once(client: Client) -> None:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}}
    await client.create(PersistentVolume.model_validate({"metadata": {"name": "v"}, "spec": spec}))
    async with controllers(client, PVProtectionController):
        await client.delete(PersistentVolume, "v")

        async def gone() -> bool:
            return not await exists(client, PersistentVolume, "v")

        await eventually(gone, "the volume to go")
