"""MutatingAdmissionWebhook: programs outside the server that change what is written, asked one after another.

What must stay true: each sees what the ones before it made of the object, decoded and with defaults; a webhook that
asked for it is called once more when something changed after it, and only once.
"""

from __future__ import annotations

import copy

from apiserver.admission import Attributes, Obj, Plugin
from apiserver.admission.description import shown, take_back
from apiserver.admission.finishing import finish
from apiserver.admission.matching import is_exempt
from apiserver.admission.webhook.calling import Caller
from apiserver.admission.webhook.configurations import Configurations, Webhook
from tiphys.api.kinds import KindInfo
from tiphys.api.patch_json import json_patch
from tiphys.api.status import StatusError, internal_error

_NOTE = "mutating webhooks"


class _Round:
    """What is remembered between the two rounds of one write."""

    def __init__(self) -> None:
        self.again: set[str] = set()  # webhooks that are due in the second round
        self.called: set[str] = set()  # those so far that would like to be asked again
        self.left: Obj | None = None  # the object as this plugin left it


class MutatingAdmissionWebhook(Plugin):
    configured = True

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._configurations = Configurations(caller.resources.cache, "mutatingwebhookconfigurations")

    async def mutate(self, attributes: Attributes) -> None:
        webhooks = self._configurations.webhooks()
        if not webhooks or is_exempt(attributes):
            return
        memory: _Round = attributes.notes.setdefault(_NOTE, _Round())
        if attributes.again and memory.left is not None and memory.left != attributes.obj:
            memory.again |= memory.called  # a plugin of our own changed it in between
        for hook in webhooks:
            if attributes.again and hook.key not in memory.again:
                continue
            wanted = await self._caller.concerned(hook, attributes)
            if wanted is None:
                continue
            changed = await self._ask(hook, attributes, wanted)
            if not attributes.again:
                if changed:
                    memory.again |= memory.called
                    attributes.reinvoke = True
                if hook.reinvoked:
                    memory.called.add(hook.key)
        if memory.called:
            memory.left = copy.deepcopy(attributes.obj)

    async def _ask(self, hook: Webhook, attributes: Attributes, wanted: KindInfo) -> bool:
        """Whether the object is another one now."""
        verdict = await self._caller.ask(hook, attributes, wanted, mutating=True)
        if verdict is None or not verdict.patch:
            return False
        if attributes.obj is None:
            text = f'admission webhook "{hook.name}" attempted to modify the object'
            raise internal_error(f"{text}, which is not supported for this operation")
        before = await shown(attributes, attributes.obj, wanted, self._caller.resources)
        try:
            patched = json_patch(copy.deepcopy(before), verdict.patch)
            if not isinstance(patched, dict):
                raise internal_error("the patched object is not an object")
            new = await take_back(attributes, patched, wanted, self._caller.resources)
            return finish(attributes, new)
        except StatusError as error:
            raise internal_error(error.message) from None
