"""What the servers of this process answered with a 500, and what they logged with a stack trace.

`noted` puts an ear to a server; `no_fault` (in conftest.py, for every test of this folder) fails the test in which
something was heard.  A test that means to see one says so: `@pytest.mark.answers_500`.
"""

from __future__ import annotations

import logging

from apiserver.assembly import ApiServer
from apiserver.request import AnyResponse, Request, Response

FAULTS: list[str] = []


class _Ear(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            FAULTS.append(f"{record.name}: {logging.Formatter().format(record)[-2000:]}")


_EAR = _Ear(logging.ERROR)


def noted(server: ApiServer) -> None:
    """Hear every 500 of a started server, whoever asked for it."""
    log = logging.getLogger("apiserver")
    if _EAR not in log.handlers:
        log.addHandler(_EAR)
    http = server._http
    assert http is not None
    inner = http._handler

    async def listening(request: Request) -> AnyResponse:
        response = await inner(request)
        if response.status == 500:
            body = response.body[:1000] if isinstance(response, Response) else b""
            FAULTS.append(f"{request.method} {request.path}: {body.decode()}")
        return response

    http._handler = listening
