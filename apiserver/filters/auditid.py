"""A name for every request: the caller's Audit-ID or a fresh one, echoed in the answer and written to the log."""

from __future__ import annotations

import re
import uuid

from apiserver.request import AnyResponse, Handler, Request

_GOOD = re.compile(r"[A-Za-z0-9._:-]{1,64}")


async def audit_id(request: Request, following: Handler) -> AnyResponse:
    given = request.headers.get("Audit-ID", "")
    request.audit_id = given if _GOOD.fullmatch(given) else str(uuid.uuid4())
    response = await following(request)
    response.headers["Audit-Id"] = request.audit_id
    return response
