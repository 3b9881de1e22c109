"""Conversion webhooks: ConversionReview v1 to the service or URL a definition names.

What must stay true: the webhook changes what it is asked to and no more: name, namespace, uid and the rest of the
metadata stay as they were, but for labels and annotations; an answer that is not whole converts nothing.
"""

from __future__ import annotations

import base64
import copy
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from apiserver.outbound import Outbound, OutboundError, ServiceReference, Trust
from tiphys.api.status import StatusError

Obj = dict[str, Any]

CALL_SECONDS = 30.0
ANSWER_LIMIT_BYTES = 64 * 1024 * 1024  # a whole list of objects comes back
_GROUP = "apiextensions.k8s.io"
_VERSIONS = ("v1", "v1beta1")  # of ConversionReview; they look the same
_MAY_CHANGE = ("labels", "annotations")


class BadConversion(Exception):
    """The webhook's answer cannot be used."""


class ConversionWebhook:
    """`config`: spec.conversion.webhook of a definition."""

    def __init__(self, outbound: Outbound, config: Mapping[str, Any]) -> None:
        self._outbound = outbound
        client = config.get("clientConfig") or {}
        service = client.get("service")
        self._target: str | ServiceReference = client.get("url") or ""
        if service is not None:
            self._target = ServiceReference(
                service.get("namespace", ""),
                service.get("name", ""),
                service.get("port") or 443,
                service.get("path") or "",
            )
        self._trust = Trust(base64.b64decode(client.get("caBundle") or ""))
        asked = config.get("conversionReviewVersions") or ()
        self._version = next((one for one in asked if one in _VERSIONS), _VERSIONS[0])

    async def convert(self, objects: Sequence[Obj], api_version: str) -> list[Obj]:
        """The objects in that version, in order.  Raises StatusError 500 in upstream's words."""
        if not objects:
            return []
        try:
            return await self._ask(objects, api_version)
        except (OutboundError, BadConversion) as error:
            first = objects[0]
            text = f"conversion webhook for {first['apiVersion']}, Kind={first['kind']} failed: {error}"
            raise StatusError(500, "", text, details={}) from None

    async def _ask(self, objects: Sequence[Obj], api_version: str) -> list[Obj]:
        uid = str(uuid.uuid4())
        request = {"uid": uid, "desiredAPIVersion": api_version, "objects": objects}
        review = {"kind": "ConversionReview", "apiVersion": f"{_GROUP}/{self._version}", "request": request}
        answer = await self._outbound.call(
            self._target,
            self._trust,
            body=orjson.dumps(review),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            timeout_seconds=CALL_SECONDS,
            limit_bytes=ANSWER_LIMIT_BYTES,
        )
        if not 200 <= answer.status < 300:
            raise BadConversion(f"the server responded with the status code {answer.status} but did not return more")
        return checked(answer.body, objects, api_version, uid, f"{_GROUP}/{self._version}")


def checked(body: bytes, objects: Sequence[Obj], api_version: str, uid: str, review_version: str) -> list[Obj]:
    """The converted objects of an answer.  Raises BadConversion."""
    try:
        review = orjson.loads(body)  # strict: no NaN, no half characters, no nesting without end
    except orjson.JSONDecodeError:
        raise BadConversion("the answer is no JSON") from None
    if not isinstance(review, dict) or (review.get("kind"), review.get("apiVersion")) != (
        "ConversionReview",
        review_version,
    ):
        raise BadConversion(f"expected webhook response of {review_version}, Kind=ConversionReview")
    response = review.get("response")
    if not isinstance(response, dict):
        raise BadConversion("no response provided")
    if response.get("uid") != uid:
        raise BadConversion(f'expected response.uid="{uid}", got "{response.get("uid")}"')
    result = response.get("result")
    if not isinstance(result, dict) or result.get("status") != "Success":
        said = result.get("message") if isinstance(result, dict) else ""
        raise BadConversion(str(said) or "response.result.status was not Success")
    converted = response.get("convertedObjects")
    converted = converted if isinstance(converted, list) else []
    if len(converted) != len(objects):
        raise BadConversion(f"webhook returned {len(converted)} objects, expected {len(objects)}")
    return [
        _taken(old, new, api_version, place) for place, (old, new) in enumerate(zip(objects, converted, strict=True))
    ]


def _taken(old: Obj, new: Any, api_version: str, place: int) -> Obj:
    """One converted object, with the metadata that is not the webhook's to change."""
    where = f"invalid converted object at index {place}"
    if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
        raise BadConversion(f"{where}: it has no metadata")
    if new.get("apiVersion") != api_version:
        raise BadConversion(f"{where}: invalid groupVersion (expected {api_version}, received {new.get('apiVersion')})")
    if new.get("kind") != old.get("kind"):
        raise BadConversion(f"{where}: invalid kind (expected {old.get('kind')}, received {new.get('kind')})")
    for name in ("name", "namespace", "uid"):
        if new["metadata"].get(name, "") != old["metadata"].get(name, ""):
            raise BadConversion(f"{where}: metadata.{name} must not be changed")
    metadata = {key: copy.deepcopy(value) for key, value in old["metadata"].items() if key not in _MAY_CHANGE}
    for name in _MAY_CHANGE:
        found = new["metadata"].get(name)
        if found is not None and not (isinstance(found, dict) and all(isinstance(one, str) for one in found.values())):
            raise BadConversion(f"{where}: metadata.{name} must be a map of strings")
        if found:
            metadata[name] = found
    return {**new, "metadata": metadata}
