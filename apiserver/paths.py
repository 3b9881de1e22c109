"""The paths that are no resources: a table from first segment to handler."""

from __future__ import annotations

from collections.abc import Mapping

from apiserver.dispatch import no_such_path
from apiserver.encoding import dump
from apiserver.request import AnyResponse, Handler, Request, Response
from apiserver.version import version_document


async def version(request: Request) -> Response:
    return Response(200, dump(version_document()))


class Paths:
    """`handlers`: first segment of the path -> handler of everything below it."""

    def __init__(self, handlers: Mapping[str, Handler], listed: list[str]) -> None:
        self._handlers = handlers
        self._listed = listed

    async def handle(self, request: Request) -> AnyResponse:
        if request.method not in ("GET", "HEAD"):
            raise no_such_path()
        if request.path == "/":
            return Response(200, dump({"paths": self._listed}))
        handler = self._handlers.get(request.path.split("/", 2)[1])
        if handler is None:
            raise no_such_path()
        return await handler(request)
