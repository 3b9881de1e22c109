"""The versions of one custom resource and the way between them.

Objects are stored in the definition's storage version of the moment they were written.  A read brings an object into
the version that was asked for: pruned and filled with defaults by the schema of the version it was stored in, then
converted, then pruned by the schema of the version asked for.

Without a webhook, conversion changes the apiVersion and nothing else, at once (`bring`).  A webhook is asked about many
objects in one call, so there the way leads through `bring_all`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from apiserver.crd.conversion import ConversionWebhook
from apiserver.outbound import Outbound
from apiserver.registry.codec import encode_stored
from tiphys.api.customresource.kind import CustomVersion
from tiphys.api.customresource.reading import prune
from tiphys.api.status import internal_error

Obj = dict[str, Any]


def webhook_of(definition: Mapping[str, Any], outbound: Outbound) -> ConversionWebhook | None:
    conversion = definition["spec"].get("conversion") or {}
    if conversion.get("strategy") != "Webhook":
        return None
    return ConversionWebhook(outbound, conversion.get("webhook") or {})


class Family:
    def __init__(self, versions: Sequence[CustomVersion], webhook: ConversionWebhook | None = None) -> None:
        self._by_api_version = {one.info.api_version: one for one in versions}
        self.storage = next(one for one in versions if one.is_storage)
        self.webhook = webhook

    def bring(self, obj: Obj, version: CustomVersion) -> None:
        """A stored object, in place, into a version; not for families with a webhook, but for what needs none."""
        stored = self._complete(obj)
        if stored is not version:
            self._rename(obj, version)

    async def bring_all(self, objects: Sequence[Obj], version: CustomVersion) -> list[Obj]:
        """Stored objects, ours to change, in a version.  Raises StatusError where the conversion fails."""
        foreign = [place for place, obj in enumerate(objects) if self._complete(obj) is not version]
        found = list(objects)
        for place, obj in zip(
            foreign, await self._converted([objects[place] for place in foreign], version), strict=True
        ):
            found[place] = obj
        return found

    def _complete(self, obj: Obj) -> CustomVersion | None:
        """By the schema of the version it was stored in."""
        stored = self._by_api_version.get(obj["apiVersion"])
        if stored is not None:
            stored.complete(obj)
        return stored

    def _rename(self, obj: Obj, version: CustomVersion) -> None:
        if self.webhook is not None:
            text = f"conversion webhook for {obj['apiVersion']}, Kind={obj['kind']} cannot be asked here"
            raise internal_error(text)
        obj["apiVersion"] = version.info.api_version
        self._fit(obj, version)

    @staticmethod
    def _fit(obj: Obj, version: CustomVersion) -> None:
        obj["kind"] = version.info.kind
        prune(obj, version.schema)

    async def _converted(self, objects: list[Obj], version: CustomVersion) -> list[Obj]:
        if self.webhook is None:
            for obj in objects:
                self._rename(obj, version)
            return objects
        found = await self.webhook.convert(objects, version.info.api_version)
        for obj in found:
            self._fit(obj, version)
        return found

    def to_storage(self, value: bytes, version: CustomVersion) -> bytes:
        if version is self.storage:
            return value
        obj = orjson.loads(value)
        self._rename(obj, self.storage)
        return encode_stored(obj)

    def from_storage(self, value: bytes, version: CustomVersion) -> bytes:
        obj = orjson.loads(value)
        self.bring(obj, version)
        return encode_stored(obj)

    async def stored_form(self, value: bytes, version: CustomVersion) -> bytes:
        """`to_storage` for every family."""
        if version is self.storage or self.webhook is None:
            return self.to_storage(value, version)
        (obj,) = await self._converted([orjson.loads(value)], self.storage)
        return encode_stored(obj)

    async def shown_form(self, value: bytes, version: CustomVersion) -> bytes:
        """`from_storage` for every family."""
        (obj,) = await self.bring_all([orjson.loads(value)], version)
        return encode_stored(obj)
