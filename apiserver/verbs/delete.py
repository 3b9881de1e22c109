"""delete: mark, wait for finalizers and grace, or remove.

What must stay true: preconditions are checked against the object that is removed; an object with finalizers stays; the
answer is the object when it stays and a Status when it is gone (a few kinds answer with the object anyway).
"""

from __future__ import annotations

from typing import Any

from apiserver.encoding import object_response, success_status
from apiserver.negotiation import Accepted, negotiate
from apiserver.registry.body import read_value
from apiserver.registry.deletion import check_preconditions, plan_deletion
from apiserver.registry.options import DeleteOptions, delete_options
from apiserver.registry.store import Stored
from apiserver.request import Request, Response
from apiserver.verbs import Scope
from apiserver.verbs.render import render
from tiphys.api import meta
from tiphys.api.declaration import struct_of

Obj = dict[str, Any]


async def delete(request: Request, scope: Scope) -> Response:
    accepted = negotiate(request.headers.get("Accept", ""))
    options = await read_delete_options(request, scope)
    namespace = request.info.namespace if scope.info.namespaced else ""
    stored = await delete_object(request, scope, namespace, request.info.name, options)
    return deleted_response(request, scope, stored, accepted)


async def read_delete_options(request: Request, scope: Scope) -> DeleteOptions:
    body = await request.read_body()
    if not body:
        return delete_options(None, request.query)
    value, _ = await read_value(request, scope.resources.registry, schema=struct_of(meta.DeleteOptions))
    if value is None:
        return delete_options(None, request.query)
    if not isinstance(value, dict):
        return delete_options({"kind": "not an object"}, request.query)
    return delete_options(value, request.query)


async def delete_object(request: Request, scope: Scope, namespace: str, name: str, options: DeleteOptions) -> Stored:
    """Raises 403, 404, 409."""
    info = scope.info

    async def change(current: Obj) -> Obj | None:
        check_preconditions(current, options, info.kind, info.group)
        await scope.admission.mutate(scope.attributes(request, "DELETE", None, current, dry_run=options.dry_run))
        await scope.admission.validate(scope.attributes(request, "DELETE", None, current, dry_run=options.dry_run))
        plan = plan_deletion(current, options, scope.store.strategy, scope.clock.now())
        return None if plan.action == "remove" else plan.obj

    return await scope.store.change(namespace, name, change, dry_run=options.dry_run)


def deleted_response(request: Request, scope: Scope, stored: Stored, accepted: Accepted) -> Response:
    info, metadata = scope.info, stored.obj["metadata"]
    if stored.removed and not scope.store.strategy.returns_deleted:
        plain = Accepted(accepted.media_type)
        return object_response(success_status(metadata["name"], info.group, info.plural, metadata["uid"]), plain)
    return render(request, info, stored.encoded, accepted, scope.clock.now())
