"""May they: asks with exactly the RequestInfo that the verb will serve."""

from __future__ import annotations

from apiserver.authorization import Attributes, Authorizer, Decision, forbidden
from apiserver.request import AnyResponse, Filter, Handler, Request


def authorize(authorizer: Authorizer) -> Filter:
    async def run(request: Request, following: Handler) -> AnyResponse:
        attributes = Attributes(request.user, request.info)
        decision, reason = await authorizer.authorize(attributes)
        if decision is not Decision.ALLOW:
            raise forbidden(attributes, reason)
        return await following(request)

    return run
