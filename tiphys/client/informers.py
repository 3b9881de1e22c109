"""The informers a program shares: one per resource, whoever asks for it."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, TypeVar, cast

from tiphys.client.informer import Informer
from tiphys.client.resources import ApiObject, Resource, resource_of
from tiphys.client.rest import Client

T = TypeVar("T", bound=ApiObject)


class Informers:
    """Ask with `of(Pod)` before or after `start`; `async with` stops them all at the end."""

    def __init__(self, client: Client, random: Random | None = None) -> None:
        self.client = client
        self._random = random or Random()
        self._informers: dict[tuple[str, str], Informer[Any]] = {}
        self._started = False

    async def __aenter__(self) -> Informers:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def of(self, model: type[T] | Resource[T]) -> Informer[T]:
        """The one informer of `model`; started at once when the others are."""
        informer = self.find(resource_of(model))
        if informer is None:
            informer = Informer(self.client, model, random=self._random)
            self._informers[informer.resource.group, informer.resource.plural] = informer
            if self._started:
                informer.start()
        return cast("Informer[T]", informer)

    def find(self, resource: Resource[Any]) -> Informer[Any] | None:
        """The informer of a resource if anybody asked for it."""
        return self._informers.get((resource.group, resource.plural))

    def start(self) -> None:
        self._started = True
        for informer in self._informers.values():
            informer.start()

    async def wait_synced(self) -> None:
        """Every informer known now has held its whole resource once."""
        await asyncio.gather(*(informer.wait_synced() for informer in list(self._informers.values())))

    async def stop(self) -> None:
        await asyncio.gather(*(informer.stop() for informer in self._informers.values()))
