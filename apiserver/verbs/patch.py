"""patch: JSON patch, merge patch, strategic merge patch and apply, each on the object that is in the store.

What must stay true: a patch without resourceVersion never conflicts, it is applied again to the newer object; apply
creates what does not exist; the result is decoded as strictly as a body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from apiserver.negotiation import JSON
from apiserver.registry import objectmeta
from apiserver.registry.body import check_kind, finish_object, load_yaml
from apiserver.registry.options import WriteOptions, write_options
from apiserver.registry.store import Stored
from apiserver.registry.strategy import Allocation
from apiserver.request import Request, Response
from apiserver.verbs import Scope
from apiserver.verbs.create import create_object
from apiserver.verbs.update import admit_update, check_version, stored_response
from tiphys.api.apply import server_side_apply
from tiphys.api.json_body import load_json
from tiphys.api.patch_json import json_patch, load_json_patch
from tiphys.api.patch_merge import merge_patch
from tiphys.api.patch_strategic import strategic_merge
from tiphys.api.scalars import json_word
from tiphys.api.status import StatusError, bad_request

Obj = dict[str, Any]
Patcher = Callable[[Obj], Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_YAML = "application/apply-patch+yaml"
APPLY_CBOR = "application/apply-patch+cbor"
PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_YAML)
CUSTOM_PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, APPLY_YAML)  # a custom resource declares no merge strategies


async def patch(request: Request, scope: Scope) -> Response:
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    types = PATCH_TYPES if scope.info.model is not None else CUSTOM_PATCH_TYPES
    if media_type not in types:
        raise unsupported(media_type, types)
    if media_type == APPLY_YAML:
        options = write_options(request, "PatchOptions", apply=True)
        stored, created = await _apply(request, scope, await request.read_body(), options)
        return stored_response(request, scope, stored, 201 if created else 200)
    options = write_options(request, "PatchOptions")
    patcher, problems = _patcher(media_type, await request.read_body(), scope, options)

    taken: list[Allocation] = []

    async def change(current: Obj) -> Obj:
        new = _patched(request, scope, current, patcher, problems, options)
        return await admit_update(request, scope, new, current, options, taken)

    namespace = request.info.namespace if scope.info.namespaced else ""
    stored = await scope.store.change(namespace, request.info.name, change, dry_run=options.dry_run, taken=taken)
    return stored_response(request, scope, stored)


def unsupported(media_type: str, types: Sequence[str] = PATCH_TYPES) -> StatusError:
    if media_type in ("", JSON):
        return StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
    accepted = ", ".join(types)
    text = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return StatusError(415, "UnsupportedMediaType", text, details={})


def _patcher(media_type: str, body: bytes, scope: Scope, options: WriteOptions) -> tuple[Patcher, list[str]]:
    """A function from the current object to the patched one, and the strict problems of the patch itself."""
    strict = options.field_validation != "Ignore"
    if media_type == JSON_PATCH:
        operations, problems = load_json_patch(body, strict=strict)
        return lambda current: json_patch(current, operations), problems
    document, problems = load_json(body, find_duplicates=strict)
    if media_type == MERGE_PATCH:
        return lambda current: merge_patch(current, document), problems
    return lambda current: strategic_merge(current, document, scope.info.schema), problems


def _patched(
    request: Request, scope: Scope, current: Obj, patcher: Patcher, problems: list[str], options: WriteOptions
) -> Obj:
    patched = patcher(current)
    if not isinstance(patched, dict):
        raise bad_request("the patched object is not an object")
    registry = scope.resources.registry
    new = finish_object(request, patched, list(problems), scope.info, registry, options)
    _check_target(new, current)
    check_version(new, current, scope)
    return new


def _check_target(new: Obj, current: Obj) -> None:
    """A patch cannot rename or move."""
    for key, word in (("name", "name"), ("namespace", "namespace")):
        found, wanted = new["metadata"].get(key, ""), current["metadata"].get(key, "")
        if found != wanted:
            raise bad_request(f"the {word} of the object ({found}) does not match the {word} on the URL ({wanted})")


async def _apply(request: Request, scope: Scope, body: bytes, options: WriteOptions) -> tuple[Stored, bool]:
    """Server-side apply: (result, whether it was created)."""
    document, problems = _read_apply(body, options)
    check_kind(document, scope.info, scope.resources.registry)
    namespace = request.info.namespace if scope.info.namespaced else ""
    metadata = document.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise bad_request(f"metadata must be an object, not {json_word(metadata)}")
    document = {**document, "metadata": dict(metadata)}
    _check_apply_metadata(document, request.info.name, namespace)
    if problems and options.field_validation == "Strict":
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise bad_request(f"error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:{lines}")
    for problem in problems:
        request.warn(problem)

    taken: list[Allocation] = []

    async def change(current: Obj) -> Obj:
        merged = _merge_applied(current, document, scope, options)
        new = finish_object(request, merged, [], scope.info, scope.resources.registry, options)
        check_version(new, current, scope)
        return await admit_update(request, scope, new, current, options, taken, owned=True)

    while True:
        try:
            return await scope.store.change(
                namespace, request.info.name, change, dry_run=options.dry_run, taken=taken
            ), False
        except StatusError as error:
            if error.code != 404 or error.reason != "NotFound" or scope.subresource:
                raise
        if document["metadata"].get("uid"):
            uid = document["metadata"]["uid"]
            text = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise StatusError(
                409, "Conflict", f'Operation cannot be fulfilled on {scope.info.plural} "{request.info.name}": {text}'
            )
        merged = _merge_applied(None, document, scope, options)
        new = finish_object(request, merged, [], scope.info, scope.resources.registry, options)
        objectmeta.place_in_namespace(new, namespace)
        try:
            return await create_object(request, scope, new, options), True
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise  # somebody created it between our two looks: apply to that one


def _read_apply(body: bytes, options: WriteOptions) -> tuple[Any, list[str]]:
    """An apply body is YAML, which most clients write as JSON; repeated keys are named as YAML names them."""
    if body.lstrip()[:1] == b"{":
        try:
            value, repeated = load_json(body, find_duplicates=options.field_validation != "Ignore")
            # Read as a YAML document, which names the line of a repeated key; the marker adds no line.
            return value, load_yaml(b"--- " + body.lstrip())[1] if repeated else []
        except StatusError as error:
            if error.code != 400:
                raise
    return load_yaml(body)


def _check_apply_metadata(document: Obj, name: str, namespace: str) -> None:
    """The configuration names the object of the URL; its namespace may be left out."""
    metadata = document["metadata"]
    if metadata.get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    metadata.pop("managedFields", None)
    found = metadata.setdefault("name", name)
    if found != name:
        raise bad_request(f"the name of the object ({found}) does not match the name on the URL ({name})")
    if metadata.get("namespace"):
        objectmeta.place_in_namespace(document, namespace)


def _merge_applied(live: Obj | None, document: Obj, scope: Scope, options: WriteOptions) -> Obj:
    """The live object with the applied configuration in it and the ownership that follows."""
    merged = server_side_apply(
        live,
        document,
        scope.info.schema,
        manager=options.manager,
        api_version=scope.info.api_version,
        force=options.force,
        now=scope.now(),
        subresource=scope.subresource,
    )
    if live is not None and "resourceVersion" not in document["metadata"]:
        merged["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
    return merged
