"""A pod's ephemeral volumes get claims of their own."""

from __future__ import annotations

from typing import Any

from controllers.ephemeralvolume import EphemeralVolumeController
from tests.client.server import eventually
from tests.controllers.running import controllers, default_account
from tests.controllers.test_small_controllers import exists
from tiphys.api.core.persistentvolumeclaim import PersistentVolumeClaim
from tiphys.api.core.pod import Pod
from tiphys.client.ownership import is_controlled_by
from tiphys.client.rest import Client

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"kind": "scratch"}},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


async def test_the_claim_is_named_after_pod_and_volume_and_owned_by_the_pod(client: Client) -> None:
    await default_account(client)
    volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": TEMPLATE}}]
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": volumes}
    pod = await client.create(Pod.model_validate({"metadata": {"name": "p", "namespace": "default"}, "spec": spec}))
    async with controllers(client, EphemeralVolumeController):

        async def there() -> bool:
            return await exists(client, PersistentVolumeClaim, "p-scratch", "default")

        await eventually(there, "the claim to be made")
        claim = await client.get(PersistentVolumeClaim, "p-scratch", "default")
        assert is_controlled_by(claim, pod)
        assert claim.metadata.labels == {"kind": "scratch"}
