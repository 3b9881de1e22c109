"""A name for every request: the caller's Audit-ID or a fresh one, echoed in the answer and written to the log."""

from __future__ import annotations

import itertools
import re
import uuid

from apiserver.request import AnyResponse, Handler, Request

_START = uuid.uuid4().int >> 32 << 32  # unique names need one look at the system's randomness, not one per request
_count = itertools.count()
_GOOD = re.compile(r"[A-Za-z0-9._:-]{1,64}")


async def audit_id(request: Request, following: Handler) -> AnyResponse:
    given = request.headers.get("Audit-ID", "")
    request.audit_id = given if _GOOD.fullmatch(given) else str(uuid.UUID(int=_START + next(_count)))
    response = await following(request)
    response.headers["Audit-Id"] = request.audit_id
    return response
