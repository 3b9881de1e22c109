"""aiohttp's connection, made to answer as upstream's server does: no Server header, and broken HTTP gets a bare 400.

What must stay true: nothing of what a broken request said is repeated to its sender, and its connection is closed.
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web
from aiohttp.http import SERVER_SOFTWARE, HttpVersion11
from aiohttp.web_protocol import RequestHandler


class HttpRequest(web.BaseRequest):
    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        """Who we are is nobody's business; what a proxied server says of itself is passed on."""
        if response.headers.get("Server") == SERVER_SOFTWARE:
            del response.headers["Server"]


class Connection(RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # for its log, and it raises when an answer has begun
        request._version = HttpVersion11  # of a request line that cannot be read nothing is known
        text = f"{status} {HTTPStatus(status).phrase}"
        answer = web.Response(status=status, text=text, content_type="text/plain", headers={"Connection": "close"})
        answer.force_close()
        return answer


class Server(web.Server):
    """A `web.Server` whose connections are ours."""

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)
