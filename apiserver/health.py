"""/livez, /readyz, /healthz: named checks, each alone at its own path, `?verbose` and `?exclude=` as upstream.

What must stay true: a check says no only when the process should be restarted (livez) or left alone (readyz).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from apiserver.request import Request, Response
from apiserver.requestinfo import first
from tiphys.api.status import StatusError

Check = Callable[[], Awaitable[None]]
"""Returns when all is well; raises with the reason otherwise."""

_TEXT = "text/plain; charset=utf-8"


async def ping() -> None:
    """The process answers."""


class Health:
    """`checks`: endpoint (livez, readyz, healthz) -> name -> check."""

    def __init__(self, checks: Mapping[str, Mapping[str, Check]]) -> None:
        self._checks = checks

    async def handle(self, request: Request) -> Response:
        endpoint, _, name = request.path.strip("/").partition("/")
        checks = self._checks[endpoint]
        if name:
            if name not in checks:
                raise StatusError(404, "NotFound", "the server could not find the requested resource", details={})
            failure = await _run(checks[name])
            return _plain(500, f"internal server error: {failure}") if failure else _plain(200, "ok")
        excluded = set(request.query.get("exclude", ()))
        lines, failed = [], []
        for check_name, check in checks.items():
            if check_name in excluded:
                lines.append(f"[+]{check_name} excluded: ok")
            elif await _run(check):
                lines.append(f"[-]{check_name} failed: reason withheld")
                failed.append(check_name)
            else:
                lines.append(f"[+]{check_name} ok")
        if failed:
            return _plain(500, "\n".join([*lines, f"{endpoint} check failed", ""]))
        if "verbose" in request.query and first(request.query, "verbose") != "false":
            return _plain(200, "\n".join([*lines, f"{endpoint} check passed", ""]))
        return _plain(200, "ok")


async def _run(check: Check) -> str:
    try:
        await check()
    except Exception as error:
        return str(error) or type(error).__name__
    return ""


def _plain(status: int, text: str) -> Response:
    return Response(status, text.encode(), _TEXT, {"X-Content-Type-Options": "nosniff"})
