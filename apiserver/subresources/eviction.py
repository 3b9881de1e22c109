"""pods/eviction: a deletion that asks first.  Disruption budgets are asked here once their kind is served."""

from __future__ import annotations

from apiserver.encoding import object_response
from apiserver.negotiation import negotiate
from apiserver.registry.body import read_part
from apiserver.registry.options import delete_options, write_options
from apiserver.request import Request, Response
from apiserver.verbs import Scope
from apiserver.verbs.delete import delete_object
from tiphys.api.declaration import struct_of
from tiphys.api.policy.eviction import Eviction
from tiphys.api.status import bad_request


async def evict(request: Request, scope: Scope) -> Response:
    accepted = negotiate(request.headers.get("Accept", ""), transforms=False)
    options = write_options(request, "CreateOptions")
    eviction = await read_part(request, struct_of(Eviction), "Eviction", "v1", scope.resources.registry, options)
    name = eviction.get("metadata", {}).get("name") or request.info.name
    if name != request.info.name:
        raise bad_request("name in URL does not match name in Eviction object")
    asked = dict(eviction.get("deleteOptions") or {})
    if options.dry_run:
        asked["dryRun"] = ["All"]
    await delete_object(request, scope, request.info.namespace, name, delete_options(asked or None, {}))
    done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return object_response(done, accepted, 201)
