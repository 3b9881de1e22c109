"""What becomes of an object that a webhook or a policy has changed: decoded, pruned, with defaults, in its old place.

What must stay true: who owns which field is not for a mutation to say wrongly: managedFields that cannot be read are
put back.
"""

from __future__ import annotations

from apiserver.admission import Attributes, Obj
from tiphys.api.apply.managed_fields import ManagedFieldsError, decode_managed
from tiphys.api.decode import decode
from tiphys.api.defaults import apply_defaults


def finish(attributes: Attributes, new: Obj) -> bool:
    """Put `new` in the place of the object; whether it differs.  Raises StatusError 400 where it does not decode."""
    old = attributes.obj
    assert old is not None
    if attributes.operation == "CONNECT":
        changed = new != old
        attributes.replace(new)
        return changed
    info = attributes.info
    declared = info.subresources.get(attributes.subresource)
    if declared is not None and declared.kind not in ("", info.kind, "Scale"):
        changed = new != old  # a Binding or an Eviction
        attributes.replace(new)
        return changed
    decoded = decode(new, info.schema, kind_label=info.kind, version=info.version).value
    decoded["kind"], decoded["apiVersion"] = info.kind, info.api_version
    decoded.setdefault("metadata", {})
    apply_defaults(decoded, info.schema)
    _keep_ownership(decoded, old)
    if decoded == old:
        return False
    attributes.replace(decoded)
    return True


def _keep_ownership(new: Obj, old: Obj) -> None:
    before, after = old["metadata"].get("managedFields"), new["metadata"].get("managedFields")
    if before == after:
        return
    try:
        decode_managed(after)
    except (ManagedFieldsError, ValueError, TypeError, KeyError, AttributeError):
        if before is None:
            new["metadata"].pop("managedFields", None)
        else:
            new["metadata"]["managedFields"] = before
