"""ValidatingAdmissionWebhook: programs outside the server that may say no, all asked at once."""

from __future__ import annotations

import asyncio

from apiserver.admission import Attributes, Plugin
from apiserver.admission.matching import is_exempt
from apiserver.admission.webhook.calling import Caller
from apiserver.admission.webhook.configurations import Configurations
from tiphys.api.status import StatusError


class ValidatingAdmissionWebhook(Plugin):
    configured = True

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._configurations = Configurations(caller.resources.cache, "validatingwebhookconfigurations")

    async def validate(self, attributes: Attributes) -> None:
        webhooks = self._configurations.webhooks()
        if not webhooks or is_exempt(attributes):
            return
        calls = []
        for hook in webhooks:
            wanted = await self._caller.concerned(hook, attributes)
            if wanted is not None:
                calls.append(self._caller.ask(hook, attributes, wanted, mutating=False))
        if len(calls) == 1:
            await calls[0]
        elif calls:
            found = await asyncio.gather(*calls, return_exceptions=True)
            for one in found:
                if isinstance(one, StatusError):
                    raise one
            for one in found:
                if isinstance(one, BaseException):
                    raise one
