"""scale: the replica count of anything that has one, as an autoscaling/v1 Scale.

What must stay true: a write through here owns `spec.replicas` under the subresource "scale" of the scaled kind's
version, so that apply conflicts name it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from apiserver.encoding import object_response
from apiserver.negotiation import negotiate
from apiserver.registry.body import read_part
from apiserver.registry.options import WriteOptions, write_options
from apiserver.registry.store import Stored
from apiserver.registry.strategy import Allocation
from apiserver.request import Request, Response
from apiserver.verbs import Scope
from apiserver.verbs.patch import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, unsupported
from apiserver.verbs.update import admit_update
from tiphys.api.autoscaling.scale import Scale
from tiphys.api.customresource.jsonpath import at_path
from tiphys.api.declaration import struct_of
from tiphys.api.decode import decode
from tiphys.api.json_body import load_json
from tiphys.api.kinds import ScalePaths
from tiphys.api.patch_json import json_patch, load_json_patch
from tiphys.api.patch_merge import merge_patch
from tiphys.api.patch_strategic import strategic_merge
from tiphys.api.selectors import from_label_selector
from tiphys.api.status import MODIFIED, conflict, internal_error, invalid, invalid_object

Obj = dict[str, Any]
_META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
Wanted = Callable[[Obj], Awaitable[Obj]]


USUAL = ScalePaths(("spec", "replicas"), ("status", "replicas"), ("spec", "selector"))


def scale_of(obj: Obj, paths: ScalePaths | None = None) -> Obj:
    """The Scale of an object; `paths` None is where built-in kinds have their numbers.  Raises 500."""
    metadata = {key: obj["metadata"][key] for key in _META if key in obj["metadata"]}
    places = paths or USUAL
    shown_status: Obj = {"replicas": at_path(obj, places.status_replicas) or 0}
    selector = at_path(obj, places.selector) if places.selector else None
    if selector:
        shown_status["selector"] = selector if isinstance(selector, str) else str(from_label_selector(selector))
    replicas = at_path(obj, places.spec_replicas)
    if replicas is None:
        if paths is not None:
            raise internal_error(f'the spec replicas field ".{".".join(places.spec_replicas)}" does not exist')
        replicas = 0
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": replicas} if replicas else {},
        "status": shown_status,
    }


async def get_scale(request: Request, scope: Scope) -> Response:
    accepted = negotiate(request.headers.get("Accept", ""), transforms=False)
    stored = await scope.store.get(request.info.namespace, request.info.name)
    return object_response(scale_of(stored.obj, scope.info.scale_paths), accepted)


async def update_scale(request: Request, scope: Scope) -> Response:
    options = write_options(request, "UpdateOptions")
    scale = await read_part(request, struct_of(Scale), "Scale", "v1", scope.resources.registry, options)

    async def wanted(current: Obj) -> Obj:
        return scale

    return await _write(request, scope, options, wanted)


async def patch_scale(request: Request, scope: Scope) -> Response:
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH):
        raise unsupported(media_type)
    options = write_options(request, "PatchOptions")
    body, schema = await request.read_body(), struct_of(Scale)

    async def wanted(current: Obj) -> Obj:
        if media_type == JSON_PATCH:
            patched = json_patch(scale_of(current, scope.info.scale_paths), load_json_patch(body)[0])
        elif media_type == MERGE_PATCH:
            patched = merge_patch(scale_of(current, scope.info.scale_paths), load_json(body)[0])
        else:
            patched = strategic_merge(scale_of(current, scope.info.scale_paths), load_json(body)[0], schema)
        return decode(patched, schema, kind_label="Scale").value

    return await _write(request, scope, options, wanted)


async def _write(request: Request, scope: Scope, options: WriteOptions, wanted: Wanted) -> Response:
    accepted = negotiate(request.headers.get("Accept", ""), transforms=False)
    taken: list[Allocation] = []

    async def change(current: Obj) -> Obj:
        scale = await wanted(current)
        _check(scale, current, scope)
        places = scope.info.scale_paths or USUAL
        new = {**current, "metadata": dict(current["metadata"])}
        _set(new, places.spec_replicas, scale.get("spec", {}).get("replicas", 0))
        return await admit_update(request, scope, new, current, options, taken)

    stored: Stored = await scope.store.change(
        request.info.namespace, request.info.name, change, dry_run=options.dry_run, taken=taken
    )
    return object_response(scale_of(stored.obj, scope.info.scale_paths), accepted)


def _set(obj: Obj, names: Sequence[str], value: int) -> None:
    """Sets a member below `obj`, which is ours; what is on the way there is copied."""
    for name in names[:-1]:
        below = obj.get(name)
        obj[name] = dict(below) if isinstance(below, dict) else {}
        obj = obj[name]
    obj[names[-1]] = value


def _check(scale: Obj, current: Obj, scope: Scope) -> None:
    """Raises 409 and 422."""
    metadata, info, name = scale.get("metadata", {}), scope.info, current["metadata"]["name"]
    version = metadata.get("resourceVersion", "")
    if version and version != current["metadata"]["resourceVersion"]:
        raise conflict(info.group, info.plural, name, MODIFIED)
    replicas = scale.get("spec", {}).get("replicas", 0)
    if replicas < 0:
        error = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise invalid_object("autoscaling", "Scale", name, [error])
