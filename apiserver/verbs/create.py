"""create: decode, own the fields, admit, fill in, validate, admit again, insert.

What must stay true: the order is upstream's, so an error that upstream reports first is the one we report; what was
allocated for an object that was not stored is given back.
"""

from __future__ import annotations

from typing import Any

from apiserver.negotiation import negotiate
from apiserver.registry import objectmeta
from apiserver.registry.body import read_object
from apiserver.registry.options import WriteOptions, write_options
from apiserver.registry.store import Stored
from apiserver.request import Request, Response
from apiserver.verbs import Scope
from apiserver.verbs.ownership import own_fields
from apiserver.verbs.render import render
from tiphys.api.status import StatusError, invalid_object

_GENERATE_ATTEMPTS = 8


async def create(request: Request, scope: Scope) -> Response:
    accepted = negotiate(request.headers.get("Accept", ""))
    options = write_options(request, "CreateOptions")
    obj = await read_object(request, scope.info, scope.resources.registry, options)
    objectmeta.place_in_namespace(obj, request.info.namespace if scope.info.namespaced else "")
    own_fields(None, obj, scope, options)
    stored = await create_object(request, scope, obj, options)
    return render(request, scope.info, stored.encoded, accepted, scope.clock.now(), 201)


async def create_object(request: Request, scope: Scope, obj: dict[str, Any], options: WriteOptions) -> Stored:
    """The rest of a create, after decoding; apply and PUT-as-create come in here.  Raises 403, 409, 422."""
    if obj["metadata"].get("resourceVersion"):
        raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
    attributes = scope.attributes(request, "CREATE", obj, None, dry_run=options.dry_run)
    await scope.admission.mutate(attributes)
    generated = not obj["metadata"].get("name") and bool(obj["metadata"].get("generateName"))
    for attempt in range(_GENERATE_ATTEMPTS):
        try:
            return await _insert(request, scope, obj, options)
        except StatusError as error:
            if not generated or error.reason != "AlreadyExists" or attempt == _GENERATE_ATTEMPTS - 1:
                raise
            obj["metadata"].pop("name")
    raise AssertionError("unreachable")


async def _insert(request: Request, scope: Scope, obj: dict[str, Any], options: WriteOptions) -> Stored:
    info, strategy = scope.info, scope.store.strategy
    objectmeta.fill_system_fields(obj["metadata"], scope.now())
    allocation = await strategy.allocate(obj, None, options.dry_run) if strategy.allocate else None
    try:
        info.prepare_for_create(obj)
        if strategy.sign is not None:
            strategy.sign(obj, request.user)
        errors = objectmeta.validate_create(obj, info) + info.validate(obj)
        if errors:
            raise invalid_object(info.group, info.kind, obj["metadata"].get("name", ""), errors)
        for text in info.warnings(obj):
            request.warn(text)
        await scope.admission.validate(scope.attributes(request, "CREATE", obj, None, dry_run=options.dry_run))
        stored = await scope.store.insert(obj, dry_run=options.dry_run)
    except BaseException:
        if allocation is not None:
            await allocation.give_back()
        raise
    if allocation is not None:
        await (allocation.give_back() if options.dry_run else allocation.keep())
    return stored
