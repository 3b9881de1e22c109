"""get: one object, as fresh as asked.

What must stay true: without resourceVersion the answer includes every write acknowledged before the request.
"""

from __future__ import annotations

from apiserver.negotiation import negotiate
from apiserver.request import Request, Response
from apiserver.requestinfo import first
from apiserver.verbs import Scope
from apiserver.verbs.freshness import read_revision, translate
from apiserver.verbs.render import render


async def get(request: Request, scope: Scope) -> Response:
    accepted = negotiate(request.headers.get("Accept", ""))
    revision = read_revision(first(request.query, "resourceVersion"))
    namespace = request.info.namespace if scope.info.namespaced else ""
    with translate(scope.info):
        encoded = await scope.store.get_encoded(namespace, request.info.name, revision=revision)
    return render(request, scope.info, encoded, accepted, scope.clock.now())
