"""Every active namespace has a ServiceAccount named default."""

from __future__ import annotations

from typing import ClassVar

from tiphys.api.core.namespace import Namespace
from tiphys.api.core.serviceaccount import ServiceAccount
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Writes
from tiphys.client.errors import ApiError

NAME = "default"


class ServiceAccountController(Controller):
    name: ClassVar = "service-account-controller"
    kind = Namespace
    reads = (ServiceAccount,)
    writes = (Writes(ServiceAccount, ("create",)),)

    def setup(self) -> None:
        self.on(ServiceAccount, lambda account: [Key("", account.metadata.namespace)])

    async def reconcile(self, key: Key) -> float | None:
        namespace = self.cache(Namespace).get(*key)
        if namespace is None or namespace.metadata.deletionTimestamp or namespace.status.phase == "Terminating":
            return None
        if self.cache(ServiceAccount).get(key.name, NAME) is not None:
            return None
        account = ServiceAccount.model_validate({"metadata": {"name": NAME, "namespace": key.name}})
        try:
            await self.client.create(account)
        except ApiError as error:
            if not error.already_exists and not error.namespace_terminating:
                raise
        return None
