"""What a request can fail with.

`ApiError` is an answer of the server; `ConnectionFailed` means there was none, so the request may or may not have been
carried out; `Deposed` means that this process refused to send it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tiphys.api.status import StatusError


class ApiError(StatusError):
    """A refusal by the server: code, reason, message, details as its `Status` said them."""

    @property
    def not_found(self) -> bool:
        return self.code == 404

    @property
    def conflict(self) -> bool:
        """Somebody else changed the object first: read again, then decide again."""
        return self.code == 409 and self.reason == "Conflict"

    @property
    def already_exists(self) -> bool:
        return self.code == 409 and self.reason == "AlreadyExists"

    @property
    def expired(self) -> bool:
        """The revision is older than the server's history: list again."""
        return self.code == 410

    @property
    def namespace_terminating(self) -> bool:
        """A create was refused because its namespace is being deleted: there is no point in trying again."""
        causes = (self.details or {}).get("causes") or []
        return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


class ConnectionFailed(Exception):
    """No answer: refused, reset, or timed out.  Whether a write happened is unknown."""


class Deposed(Exception):
    """The process is not the leader (any more), so its client refuses to write."""


def error_of_status(status: Mapping[str, Any], code: int = 0) -> ApiError:
    """The error a decoded `Status` object stands for."""
    details = status.get("details")
    retry = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    return ApiError(
        int(status.get("code") or code or 500),
        str(status.get("reason") or ""),
        str(status.get("message") or "unknown"),
        details=details if isinstance(details, dict) else None,
        retry_after_seconds=int(retry) if retry else None,
    )


def error_of_response(code: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """The error of an answer with code >= 400, whether or not its body is a Status."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        error = error_of_status(status, code)
    else:
        text = body[:500].decode("utf-8", "replace").strip()
        error = ApiError(code, "", text or f"the server answered with code {code}")
    after = headers.get("Retry-After", "")
    if error.retry_after_seconds is None and after.isdigit():
        error.retry_after_seconds = int(after)
    return error
