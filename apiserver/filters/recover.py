"""The outermost filter that speaks the API: every failure leaves as a `Status` object.

What must stay true: a fault of ours is a 500 with an audit id to search the log for, never a stack trace to the caller.
"""

from __future__ import annotations

import asyncio
import logging

from apiserver.encoding import status_response
from apiserver.request import AnyResponse, Handler, Request
from apiserver.storage.store import Damaged, NoSpace, StoreError
from tiphys.api.status import StatusError, internal_error
from tiphys.logs import fields

_log = logging.getLogger(__name__)


async def recover(request: Request, following: Handler) -> AnyResponse:
    try:
        return await following(request)
    except StatusError as error:
        return status_response(error)
    except asyncio.CancelledError:
        raise
    except NoSpace:
        return status_response(internal_error("etcdserver: mvcc: database space exceeded"))
    except Damaged as error:
        _log.error("stored object is damaged", extra=fields(key=error.key, revision=error.revision))
        return status_response(internal_error("the stored object is damaged and cannot be read; it can be deleted"))
    except (TimeoutError, StoreError) as error:
        _log.warning("store did not answer", extra=fields(path=request.path, error=error, audit=request.audit_id))
        return status_response(
            StatusError(504, "Timeout", f"Timeout: request did not complete within the allotted timeout: {error}")
        )
    except Exception:
        _log.exception("request failed", extra=fields(method=request.method, path=request.path, audit=request.audit_id))
        return status_response(internal_error(f"request failed; audit id {request.audit_id}"))
