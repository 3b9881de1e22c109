"""update: a PUT replaces the object the caller has seen, or nothing.

What must stay true: with a resourceVersion the write happens only on that version; an update that changes nothing does
not write; taking the last finalizer from a deleted object removes it.
"""

from __future__ import annotations

import copy
from typing import Any

from apiserver.negotiation import negotiate
from apiserver.registry import objectmeta
from apiserver.registry.body import read_object
from apiserver.registry.codec import parse_version
from apiserver.registry.options import WriteOptions, write_options
from apiserver.registry.store import Stored
from apiserver.registry.strategy import Allocation
from apiserver.request import Request, Response
from apiserver.verbs import Scope
from apiserver.verbs.create import create_object
from apiserver.verbs.ownership import own_fields
from apiserver.verbs.render import render
from tiphys.api.status import MODIFIED, StatusError, bad_request, conflict, invalid, invalid_object

Obj = dict[str, Any]


async def update(request: Request, scope: Scope) -> Response:
    accepted = negotiate(request.headers.get("Accept", ""))
    options = write_options(request, "UpdateOptions")
    obj = await read_object(request, scope.info, scope.resources.registry, options)
    namespace = request.info.namespace if scope.info.namespaced else ""
    objectmeta.place_in_namespace(obj, namespace)
    check_name(obj, request.info.name)

    taken: list[Allocation] = []

    async def change(current: Obj) -> Obj:
        new = copy.deepcopy(obj)
        check_version(new, current, scope)
        return await admit_update(request, scope, new, current, options, taken)

    try:
        stored = await scope.store.change(namespace, request.info.name, change, dry_run=options.dry_run, taken=taken)
        status = 200
    except StatusError as error:
        if error.code != 404 or not scope.store.strategy.create_on_update or scope.subresource:
            raise
        obj["metadata"].pop("resourceVersion", None)
        own_fields(None, obj, scope, options)
        stored, status = await create_object(request, scope, obj, options), 201
    return render(request, scope.info, stored.encoded, accepted, scope.clock.now(), status)


def check_name(obj: Obj, name: str) -> None:
    found = obj["metadata"].get("name", "")
    if not found:
        raise bad_request("name must be provided")
    if found != name:
        raise bad_request(f"the name of the object ({found}) does not match the name on the URL ({name})")


def check_version(new: Obj, current: Obj, scope: Scope) -> None:
    """uid and resourceVersion, where the caller gave them, must be the current ones.  Raises 409, 422."""
    info, metadata, found = scope.info, new["metadata"], current["metadata"]
    name, version = found["name"], metadata.get("resourceVersion", "")
    if version in ("", "0"):
        if not scope.store.strategy.unconditional_update:
            error = invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid_object(info.group, info.kind, name, [error])
        metadata["resourceVersion"] = found["resourceVersion"]
    elif version != found["resourceVersion"]:
        if parse_version(version) is None:
            error = invalid(
                "metadata.resourceVersion", version, f'strconv.ParseUint: parsing "{version}": invalid syntax'
            )
            raise invalid_object(info.group, info.kind, name, [error])
        raise conflict(info.group, info.plural, name, MODIFIED)
    uid = metadata.get("uid", "")
    if uid and uid != found["uid"]:
        text = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found['uid']}"
        raise conflict(info.group, info.plural, name, text)


async def admit_update(
    request: Request,
    scope: Scope,
    new: Obj,
    current: Obj,
    options: WriteOptions,
    taken: list[Allocation],
    *,
    owned: bool = False,
) -> Obj:
    """Ownership, admission, preparation and validation of a changed object.  `owned`: managedFields are done."""
    info = scope.info
    objectmeta.keep_system_fields(new["metadata"], current["metadata"])
    if not owned:
        own_fields(current, new, scope, options)
    await scope.admission.mutate(scope.attributes(request, "UPDATE", new, current, dry_run=options.dry_run))
    if scope.subresource == "status":
        info.prepare_status_update(new, current)
        errors = objectmeta.validate_update(new, current) + info.validate_status_update(new, current)
    elif scope.subresource in scope.store.strategy.prepare:
        scope.store.strategy.prepare[scope.subresource](new, current, scope.now())
        check = scope.store.strategy.check.get(scope.subresource, info.validate_status_update)
        errors = objectmeta.validate_update(new, current) + check(new, current)
    else:
        info.prepare_for_update(new, current)
        if scope.store.strategy.allocate is not None:
            taken.append(await scope.store.strategy.allocate(new, current, options.dry_run))
        errors = objectmeta.validate_update(new, current) + info.validate_update(new, current)
        for text in info.warnings(new):
            request.warn(text)
    if errors:
        raise invalid_object(info.group, info.kind, current["metadata"]["name"], errors)
    await scope.admission.validate(scope.attributes(request, "UPDATE", new, current, dry_run=options.dry_run))
    return new


def stored_response(request: Request, scope: Scope, stored: Stored, status: int = 200) -> Response:
    accepted = negotiate(request.headers.get("Accept", ""))
    return render(request, scope.info, stored.encoded, accepted, scope.clock.now(), status)
