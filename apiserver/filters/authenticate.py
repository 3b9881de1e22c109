"""Who is asking; the answer is on `request.user` from here on."""

from __future__ import annotations

from apiserver.authentication import AuthenticatorChain
from apiserver.request import AnyResponse, Filter, Handler, Request


def authenticate(authenticators: AuthenticatorChain) -> Filter:
    async def run(request: Request, following: Handler) -> AnyResponse:
        request.user = await authenticators.authenticate(request)
        return await following(request)

    return run
