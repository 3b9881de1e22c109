"""The versions of one custom resource and the way between them.

Objects are stored in the definition's storage version of the moment they were written.  A read brings an object into
the version that was asked for: pruned and filled with defaults by the schema of the version it was stored in, then
converted, then pruned by the schema of the version asked for.

The only conversion here is None, which changes the apiVersion and nothing else.  A webhook would be one more
`Converter`; until it is there, `NoWebhook` refuses in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from apiserver.registry.codec import encode_stored
from tiphys.api.customresource.kind import CustomVersion
from tiphys.api.customresource.reading import prune
from tiphys.api.status import internal_error

Obj = dict[str, Any]


class Converter(Protocol):
    def convert(self, obj: Obj, api_version: str) -> None:
        """Brings the object, in place, into another version.  Raises StatusError."""


class SameFields:
    """Strategy None."""

    def convert(self, obj: Obj, api_version: str) -> None:
        obj["apiVersion"] = api_version


class NoWebhook:
    """Strategy Webhook, which this server does not do yet."""

    def convert(self, obj: Obj, api_version: str) -> None:
        text = f"conversion webhook for {obj['apiVersion']}, Kind={obj['kind']} failed"
        raise internal_error(f"{text}: conversion by webhook to {api_version} is not supported by this server")


def converter_of(definition: Mapping[str, Any]) -> Converter:
    strategy = (definition["spec"].get("conversion") or {}).get("strategy", "None")
    return NoWebhook() if strategy == "Webhook" else SameFields()


class Family:
    def __init__(self, versions: Sequence[CustomVersion], converter: Converter) -> None:
        self._by_api_version = {one.info.api_version: one for one in versions}
        self._storage = next(one for one in versions if one.is_storage)
        self._converter = converter

    def bring(self, obj: Obj, version: CustomVersion) -> None:
        """A stored object, in place, into a version.  Raises StatusError where the conversion fails."""
        stored = self._by_api_version.get(obj["apiVersion"])
        if stored is not None:
            stored.complete(obj)
        if stored is not version:
            self._convert(obj, version)

    def _convert(self, obj: Obj, version: CustomVersion) -> None:
        self._converter.convert(obj, version.info.api_version)
        obj["kind"] = version.info.kind
        prune(obj, version.schema)

    def to_storage(self, value: bytes, version: CustomVersion) -> bytes:
        if version is self._storage:
            return value
        obj = orjson.loads(value)
        self._convert(obj, self._storage)
        return encode_stored(obj)

    def from_storage(self, value: bytes, version: CustomVersion) -> bytes:
        obj = orjson.loads(value)
        self.bring(obj, version)
        return encode_stored(obj)
