"""Legacy tokens: a Secret gets one, it works, and it ends with its Secret and its account."""

import base64
from pathlib import Path

import pytest

from controllers.legacytoken import LegacyTokenController
from tests.client.server import eventually
from tests.controllers.running import controllers, default_account
from tests.controllers.test_bootstraptoken import whoami
from tiphys.api.core.secret import Secret
from tiphys.api.core.serviceaccount import ServiceAccount
from tiphys.client.errors import ApiError
from tiphys.client.rest import Client


async def test_a_token_secret_is_filled_works_and_goes_with_its_account(client: Client, pki_dir: Path) -> None:
    await default_account(client)
    wanted = {
        "metadata": {
            "name": "long",
            "namespace": "default",
            "annotations": {"kubernetes.io/service-account.name": "default"},
        },
        "type": "kubernetes.io/service-account-token",
    }
    key = (pki_dir / "sa.key").read_text()
    async with controllers(client, lambda environment: LegacyTokenController(environment, key)):
        await client.create(Secret.model_validate(wanted))

        async def filled() -> bool:
            return set((await client.get(Secret, "long", "default")).data) == {"ca.crt", "namespace", "token"}

        await eventually(filled, "token, ca.crt and namespace")
        data = {
            name: base64.b64decode(text) for name, text in (await client.get(Secret, "long", "default")).data.items()
        }
        assert data["namespace"] == b"default" and data["ca.crt"] == client.config.ca_data
        token = data["token"].decode()
        assert (await whoami(client.config, token))[0] == "system:serviceaccount:default:default"
        with pytest.raises(PermissionError, match="401"):
            await whoami(client.config, token[:-8] + "AAAAAAAA")
        await client.delete(ServiceAccount, "default", "default")

        async def gone() -> bool:
            try:
                await client.get(Secret, "long", "default")
            except ApiError as error:
                return error.not_found
            return False

        await eventually(gone, "the Secret gone with its account")
        await default_account(client)
        with pytest.raises(PermissionError, match="401"):
            await whoami(client.config, token)
