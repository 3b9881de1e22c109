"""JSON merge patch (RFC 7386): objects merge key by key, null deletes, everything else replaces."""

from __future__ import annotations

import copy
from typing import Any

from tiphys.api.scalars import json_word
from tiphys.api.status import bad_request


def merge_patch(doc: Any, patch: Any) -> Any:
    """The patched copy of `doc`; `doc` itself stays.  400 when the patch of an object is not an object."""
    if isinstance(doc, dict) and not isinstance(patch, dict):
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {json_word(patch)} into Go value of type "
            "map[string]interface {}"
        )
    return _merge(copy.deepcopy(doc), patch)


def _merge(doc: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    target = doc if isinstance(doc, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = _merge(target.get(name), value)
    return target
