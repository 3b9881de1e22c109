"""Each controller may do what it declares and nothing else."""

import pytest

from controllers.endpoints import EndpointsController
from controllers.manager import CONTROLLERS
from controllers.roles import FILE, controller_rules, text
from tests.client.server import config_of
from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.endpoints import Endpoints
from tiphys.client.controller import account_user
from tiphys.client.errors import ApiError
from tiphys.client.rest import Client


def test_the_roles_are_those_the_controllers_declare() -> None:
    assert FILE.read_text() == text(), "the declarations have changed: python -m controllers.roles"
    assert controller_rules().keys() >= CONTROLLERS.keys()


async def test_a_controller_writes_what_it_declares_and_nothing_else(client: Client, pki_dir: object) -> None:
    endpoints = Endpoints.model_validate({"metadata": {"name": "e", "namespace": "default"}})
    settings = ConfigMap.model_validate({"metadata": {"name": "c", "namespace": "default"}})
    port = int(client.config.server.rpartition(":")[2])
    async with Client(config_of(pki_dir, port, "controllers")) as manager:  # type: ignore[arg-type]
        own = manager.derived(user=account_user(EndpointsController.name))
        await own.create(endpoints)
        for who, obj in ((own, settings), (manager, settings), (manager, endpoints)):
            with pytest.raises(ApiError) as refused:
                await who.create(obj)
            assert refused.value.code == 403
        with pytest.raises(ApiError, match="cannot impersonate"):
            await manager.derived(user="system:serviceaccount:default:default").list(ConfigMap, "default")
        with pytest.raises(ApiError, match="cannot impersonate"):
            await manager.derived(user="kubernetes-admin").list(ConfigMap, "default")
