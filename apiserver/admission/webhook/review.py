"""AdmissionReview, both ways: the question as it is sent, the answer as it is believed.

Pure.  What must stay true: an answer counts only if it is an AdmissionReview of the version that was asked in, about
the question that was asked.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from apiserver.admission import Obj
from tiphys.api.json_body import load_json
from tiphys.api.patch_json import load_json_patch
from tiphys.api.status import StatusError

GROUP = "admission.k8s.io"


class InvalidResponse(Exception):
    """The answer is none; the text says why, in upstream's words."""


@dataclass(frozen=True, slots=True)
class Verdict:
    allowed: bool
    status: Obj | None
    patch: list[Any] | None
    warnings: tuple[str, ...]


def review(uid: str, version: str, description: Obj, obj: Obj | None, old: Obj | None) -> Obj:
    request = {"uid": uid, **description, "object": obj, "oldObject": old}
    return {"kind": "AdmissionReview", "apiVersion": f"{GROUP}/{version}", "request": request}


def read_answer(body: bytes, uid: str, version: str, *, mutating: bool) -> Verdict:
    """Raises InvalidResponse."""
    found = _load(body)
    wanted = f"{GROUP}/{version}, Kind=AdmissionReview"
    head = f"{found.get('apiVersion', '')}, Kind={found.get('kind', '')}"
    if head != wanted and version == "v1":
        raise InvalidResponse(f"expected webhook response of {wanted}, got {head}")
    response = found.get("response")
    if response is None:
        raise InvalidResponse("webhook response was absent")
    if not isinstance(response, dict) or not isinstance(response.get("allowed", False), bool):
        raise InvalidResponse("webhook response is not an AdmissionResponse")
    if version == "v1" and response.get("uid") != uid:
        raise InvalidResponse(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    status = response.get("status")
    if status is not None and not isinstance(status, dict):
        raise InvalidResponse("response.status is not a Status")
    warnings = response.get("warnings") or ()
    texts = tuple(one for one in warnings if isinstance(one, str)) if isinstance(warnings, list) else ()
    patch = _patch(response, version) if mutating else None
    return Verdict(response.get("allowed", False), status, patch, texts)


def _load(body: bytes) -> Obj:
    try:
        found, _ = load_json(body, find_duplicates=False)
    except StatusError as error:
        raise InvalidResponse(f"the response is not JSON: {error.message[:200]}") from None
    if not isinstance(found, dict):
        raise InvalidResponse("the response is not an AdmissionReview")
    return found


def _patch(response: Obj, version: str) -> list[Any] | None:
    kind, text = response.get("patchType"), response.get("patch") or ""
    if version == "v1":
        if text and kind is None:
            raise InvalidResponse("webhook returned response.patch but not response.patchType")
        if kind is not None and not text:
            raise InvalidResponse("webhook returned response.patchType but not response.patch")
        if kind is not None and kind != "JSONPatch":
            raise InvalidResponse(f'webhook returned invalid response.patchType of "{kind}"')
    if not text:
        return None
    if not isinstance(text, str):
        raise InvalidResponse("response.patch is not base64")
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidResponse("response.patch is not base64") from None
    try:
        operations, _ = load_json_patch(raw, strict=False)
    except StatusError as error:
        raise InvalidResponse(f"response.patch is not a JSON patch: {error.message[:200]}") from None
    return operations


def denial(webhook: str, status: Obj | None) -> StatusError:
    """What the caller is told of a webhook's no."""
    said = status or {}
    text = f'admission webhook "{webhook}" denied the request'
    message, reason = said.get("message"), said.get("reason")
    if isinstance(message, str) and message:
        text = f"{text}: {message}"
    elif isinstance(reason, str) and reason:
        text = f"{text}: {reason}"
    else:
        text = f"{text} without explanation"
    code = said.get("code")
    code = code if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600 else 400
    details = said.get("details")
    return StatusError(
        code, reason if isinstance(reason, str) else "", text, details=details if isinstance(details, dict) else None
    )
