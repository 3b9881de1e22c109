"""namespaces/finalize: the namespace controller says that its part is done.

What must stay true: only `spec.finalizers` changes here, and the namespace goes when the last finalizer has gone.
"""

from __future__ import annotations

from typing import Any

from apiserver.negotiation import negotiate
from apiserver.registry.body import read_object
from apiserver.registry.options import write_options
from apiserver.request import Request, Response
from apiserver.verbs import Scope
from apiserver.verbs.render import render
from apiserver.verbs.update import check_name, check_version

Obj = dict[str, Any]


async def finalize(request: Request, scope: Scope) -> Response:
    accepted = negotiate(request.headers.get("Accept", ""))
    options = write_options(request, "UpdateOptions")
    asked = await read_object(request, scope.info, scope.resources.registry, options)
    check_name(asked, request.info.name)

    async def change(current: Obj) -> Obj:
        check_version(asked, current, scope)
        finalizers = asked.get("spec", {}).get("finalizers", [])
        current["spec"] = {**current.get("spec", {}), "finalizers": finalizers}
        if not finalizers:
            current["spec"].pop("finalizers")
        return current

    stored = await scope.store.change("", request.info.name, change, dry_run=options.dry_run)
    return render(request, scope.info, stored.encoded, accepted, scope.clock.now())
