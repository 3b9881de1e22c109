"""A write as webhooks and expressions see it: the request's fields, and the object in the form that is wanted.

What must stay true: `scale` shows a Scale, CONNECT shows the options, another version shows a conversion, and what is
shown is a copy wherever the reader might change it.
"""

from __future__ import annotations

import copy
from typing import Any

import orjson

from apiserver.admission import Attributes, Obj
from apiserver.registry.codec import encode_stored
from apiserver.requestinfo import first
from apiserver.resources import Resources
from apiserver.subresources.scale import USUAL, scale_of
from tiphys.api.kinds import KindInfo

_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


def kind_of(info: KindInfo, subresource: str) -> dict[str, str]:
    """group, version and kind of the object that a write of this subresource carries."""
    if subresource:
        declared = info.subresources.get(subresource)
        if declared is not None and declared.kind and declared.kind != info.kind:
            return {"group": declared.group or info.group, "version": declared.version or "v1", "kind": declared.kind}
    return {"group": info.group, "version": info.version, "kind": info.kind}


def describe(attributes: Attributes, wanted: KindInfo) -> Obj:
    """The AdmissionRequest without uid and objects; `wanted` is the kind in whose form it is shown."""
    own, sub = attributes.info, attributes.subresource
    user = attributes.user
    info: Obj = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = {name: list(values) for name, values in user.extra.items()}
    found: Obj = {
        "kind": kind_of(wanted, sub),
        "resource": {"group": wanted.group, "version": wanted.version, "resource": wanted.plural},
        "requestKind": kind_of(own, sub),
        "requestResource": {"group": own.group, "version": own.version, "resource": own.plural},
        "operation": attributes.operation,
        "userInfo": info,
        "dryRun": attributes.dry_run,
    }
    optional = {"subResource": sub, "requestSubResource": sub, "name": attributes.name}
    # A Namespace is asked about in itself, as its path says.
    optional["namespace"] = attributes.namespace or (attributes.name if attributes.is_for("", "namespaces") else "")
    found.update({name: value for name, value in optional.items() if value})
    options = _options(attributes)
    if options is not None:
        found["options"] = options
    return found


def _options(attributes: Attributes) -> Obj | None:
    kind = _OPTIONS.get(attributes.operation)
    if kind is None:
        return None
    options: Obj = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    if attributes.dry_run:
        options["dryRun"] = ["All"]
    for name in ("fieldManager", "fieldValidation"):
        value = first(attributes.query, name)
        if value and kind != "DeleteOptions":
            options[name] = value
    return options


async def shown(attributes: Attributes, obj: Obj | None, wanted: KindInfo, resources: Resources) -> Obj | None:
    """The object (new or old) as the subresource and the wanted version show it; do not change it."""
    if obj is None or attributes.operation == "CONNECT":
        return obj
    if attributes.subresource == "scale":
        return scale_of(obj, attributes.info.scale_paths)
    if wanted is attributes.info or kind_of(wanted, attributes.subresource)["kind"] != wanted.kind:
        return obj
    return await convert(obj, attributes.info, wanted, resources)


async def convert(obj: Obj, own: KindInfo, wanted: KindInfo, resources: Resources) -> Obj:
    """The object in another version of its kind.  Raises StatusError."""
    stored = await resources.of(own).stored_form(encode_stored(copy.deepcopy(obj)))
    converted: Obj = orjson.loads(await resources.of(wanted).shown_form(stored))
    converted["kind"], converted["apiVersion"] = wanted.kind, wanted.api_version
    metadata = obj.get("metadata", {})
    if "resourceVersion" in metadata:
        converted["metadata"]["resourceVersion"] = metadata["resourceVersion"]
    return converted


async def take_back(attributes: Attributes, new: Obj, wanted: KindInfo, resources: Resources) -> Obj:
    """The inverse of `shown`: what the changed `new` means for the object of the write."""
    assert attributes.obj is not None
    if attributes.operation == "CONNECT":
        return new
    if attributes.subresource == "scale":
        changed: Obj = copy.deepcopy(attributes.obj)
        place: Any = changed
        *path, last = (attributes.info.scale_paths or USUAL).spec_replicas
        for name in path:
            place = place.setdefault(name, {})
        place[last] = new.get("spec", {}).get("replicas", 0)
        return changed
    if wanted is attributes.info or kind_of(wanted, attributes.subresource)["kind"] != wanted.kind:
        return new
    return await convert(new, wanted, attributes.info, resources)
