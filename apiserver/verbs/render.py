"""The last step of get, list and the writes: the object in the representation the client asked for.

What must stay true: without a transform the bytes leave as they are.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from apiserver.encoding import bytes_response, object_response
from apiserver.negotiation import Accepted
from apiserver.request import Request, Response
from apiserver.requestinfo import first
from tiphys.api.kinds import KindInfo
from tiphys.api.status import bad_request
from tiphys.api.table import build_table, partial_metadata

INCLUDE_OBJECT = ("None", "Metadata", "Object")


def include_object(request: Request) -> str:
    """The `includeObject` parameter of a Table.  Raises 400."""
    wanted = first(request.query, "includeObject") or "Metadata"
    if wanted not in INCLUDE_OBJECT:
        raise bad_request(f'unrecognized includeObject value: "{wanted}"')
    return wanted


def render(
    request: Request, info: KindInfo, encoded: bytes, accepted: Accepted, now: datetime, status: int = 200
) -> Response:
    """One object."""
    if not accepted.transform:
        return bytes_response(encoded, accepted, status)
    obj: dict[str, Any] = orjson.loads(encoded)
    if accepted.transform == "Table":
        metadata = obj.get("metadata", {})
        version = {"resourceVersion": metadata["resourceVersion"]} if "resourceVersion" in metadata else {}
        shown = build_table(info, [obj], version, now, include_object=include_object(request))
        return object_response(in_version(shown, accepted), accepted, status)
    return object_response(in_version(partial_metadata(obj), accepted), accepted, status)


def in_version(obj: dict[str, Any], accepted: Accepted) -> dict[str, Any]:
    """A Table or PartialObjectMetadata in the version of meta.k8s.io that was asked for."""
    obj["apiVersion"] = f"meta.k8s.io/{accepted.version}"
    return obj
