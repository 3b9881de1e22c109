"""Secret: keys are file names, a type asks for its keys, the type never changes.  No message shows a value."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_config_map_key, is_dns1123_subdomain
from tiphys.api.status import FieldError, forbidden_field, invalid, required, too_long

Object = Mapping[str, Any]
MAX_BYTES = 1024 * 1024
_JSON_KEYS = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
_NEEDED_KEYS = {"kubernetes.io/ssh-auth": ("ssh-privatekey",), "kubernetes.io/tls": ("tls.crt", "tls.key")}


def validate(obj: Object) -> Errors:
    errors = check.object_name(obj, is_dns1123_subdomain)
    data = obj.get("data") or {}
    for key in data:
        errors += [invalid(f"data[{key}]", key, text) for text in is_config_map_key(key)]
    if sum(len(value) * 3 // 4 for value in data.values()) > MAX_BYTES:
        errors.append(too_long("data", MAX_BYTES))
    return errors + _type(obj, obj.get("type", ""), data)


def _type(obj: Object, kind: str, data: Mapping[str, str]) -> Errors:
    if kind in _JSON_KEYS:
        return _json(_JSON_KEYS[kind], data)
    if kind == "kubernetes.io/service-account-token":
        path = "kubernetes.io/service-account.name"
        annotations = (obj.get("metadata") or {}).get("annotations") or {}
        return [] if annotations.get(path) else [required(f"metadata.annotations[{path}]")]
    if kind == "kubernetes.io/basic-auth":
        keys = ("username", "password")
        return [] if any(key in data for key in keys) else [required(f"data[{key}]") for key in keys]
    return [required(f"data[{key}]") for key in _NEEDED_KEYS.get(kind, ()) if key not in data]


def _json(key: str, data: Mapping[str, str]) -> Errors:
    path = f"data[{key}]"
    if key not in data:
        return [required(path)]
    try:
        json.loads(base64.b64decode(data[key]))
    except (ValueError, binascii.Error, RecursionError):
        return [FieldError(path, "FieldValueInvalid", 'Invalid value: "<secret contents redacted>": not valid JSON')]
    return []


def validate_update(new: Object, old: Object) -> Errors:
    errors = check.immutable("type", new.get("type"), old.get("type"))
    if old.get("immutable"):
        if not new.get("immutable"):
            errors.append(forbidden_field("immutable", "field is immutable when `immutable` is set"))
        if (new.get("data") or {}) != (old.get("data") or {}):
            errors.append(forbidden_field("data", "field is immutable when `immutable` is set"))
    return errors + validate(new)
