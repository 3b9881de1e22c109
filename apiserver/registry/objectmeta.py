"""The rules of `metadata` that hold for every kind: on create and on update, in upstream's words.

What must stay true: uid, creationTimestamp and deletion marks are the server's; a client neither sets nor changes them.
"""

from __future__ import annotations

import os
from typing import Any

from tiphys.api import names
from tiphys.api.kinds import KindInfo
from tiphys.api.status import FieldError, bad_request, invalid, required

Obj = dict[str, Any]

_RANDOM_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED_BASE = 58
_ANNOTATIONS_LIMIT_BYTES = 256 * 1024
_SYSTEM_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")
_IMMUTABLE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


class _Randomness:
    """The system's randomness a page at a time: a system call per object lets go of the interpreter, and waits for it.

    For names and uids only; secrets ask the system themselves."""

    def __init__(self) -> None:
        self._page, self._at = b"", 0
        os.register_at_fork(after_in_child=self._forget)  # two processes must not draw the same

    def _forget(self) -> None:
        self._page = b""

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._page):
            self._page, self._at = os.urandom(4096), 0
        self._at += size
        return self._page[self._at - size : self._at]


_randomness = _Randomness()


def new_uid() -> str:
    """A random (version 4) UUID."""
    raw = _randomness.take(16)
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[raw[8] & 3]}{text[17:20]}-{text[20:]}"


def random_suffix() -> str:
    number = int.from_bytes(_randomness.take(8))  # 27**5 is small beside 2**64, so this is fair
    letters = []
    for _ in range(5):
        number, place = divmod(number, len(_RANDOM_LETTERS))
        letters.append(_RANDOM_LETTERS[place])
    return "".join(letters)


def place_in_namespace(obj: Obj, namespace: str) -> None:
    """The object's namespace is the URL's.  Raises 400 when the object names another one."""
    metadata = obj["metadata"]
    found = metadata.get("namespace", "")
    if namespace and found and found != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if namespace:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)


def fill_system_fields(metadata: Obj, now: str) -> None:
    """What a new object gets from the server; a generated name where one is asked for."""
    for name in _SYSTEM_FIELDS:
        metadata.pop(name, None)
    metadata["creationTimestamp"] = now
    metadata["uid"] = new_uid()
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][:_GENERATED_BASE] + random_suffix()


def validate_create(obj: Obj, info: KindInfo) -> list[FieldError]:
    metadata = obj["metadata"]
    name = metadata.get("name", "")
    errors = []
    if not name:
        errors.append(required("metadata.name", "name or generateName is required"))
    else:
        errors += [invalid("metadata.name", name, text) for text in path_segment_errors(name)]
        if info.hooks.find("validate") is None:
            errors += [invalid("metadata.name", name, text) for text in names.is_dns1123_subdomain(name)]
    return errors + _validate_maps(metadata) + _validate_lists(metadata)


def path_segment_errors(name: str) -> list[str]:
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in name]


def _validate_maps(metadata: Obj) -> list[FieldError]:
    errors = []
    for key, value in metadata.get("labels", {}).items():
        errors += [invalid("metadata.labels", key, text) for text in names.is_qualified_name(key)]
        errors += [invalid("metadata.labels", value, text) for text in names.is_label_value(value)]
    total = 0
    for key, value in metadata.get("annotations", {}).items():
        errors += [invalid("metadata.annotations", key, text) for text in names.is_qualified_name(key.lower())]
        total += len(key.encode()) + len(value.encode())
    if total > _ANNOTATIONS_LIMIT_BYTES:
        text = f"Too long: may not be more than {_ANNOTATIONS_LIMIT_BYTES} bytes"
        errors.append(FieldError("metadata.annotations", "FieldValueTooLong", text))
    return errors


def _validate_lists(metadata: Obj) -> list[FieldError]:
    errors = []
    for index, finalizer in enumerate(metadata.get("finalizers", [])):
        path = "metadata.finalizers"
        errors += [invalid(path, finalizer, text) for text in names.is_qualified_name(finalizer)]
        if "/" not in finalizer and finalizer not in ("orphan", "foregroundDeletion", "kubernetes"):
            text = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(f"{path}[{index}]", finalizer, text))
    controllers = []
    for index, owner in enumerate(metadata.get("ownerReferences", [])):
        path = f"metadata.ownerReferences[{index}]"
        for key in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(key):
                errors.append(invalid(f"{path}.{key}", owner.get(key, ""), "must not be empty"))
        if owner.get("controller"):
            controllers.append(owner)
    if len(controllers) > 1:
        first, second = (f"{one['apiVersion']}/{one['kind']}, {one['name']}" for one in controllers[:2])
        text = (
            f'Only one reference can have Controller set to true. Found "true" in references for {first} and {second}'
        )
        errors.append(invalid("metadata.ownerReferences", metadata["ownerReferences"], text))
    return errors


def keep_system_fields(new: Obj, old: Obj) -> None:
    """What an update leaves out that the server keeps anyway."""
    for name in (*_IMMUTABLE, "selfLink"):
        if name in old and not new.get(name):
            new[name] = old[name]
    new.setdefault("resourceVersion", old["resourceVersion"])


def validate_update(new_obj: Obj, old_obj: Obj) -> list[FieldError]:
    new, old = new_obj["metadata"], old_obj["metadata"]
    errors = []
    for name in _IMMUTABLE:
        if new.get(name) != old.get(name):
            errors.append(invalid(f"metadata.{name}", new.get(name), "field is immutable"))
    if "deletionTimestamp" in old:
        added = [one for one in new.get("finalizers", []) if one not in old.get("finalizers", [])]
        if added:
            shown = "[]string{" + ", ".join(f'"{one}"' for one in added) + "}"
            text = f"no new finalizers can be added if the object is being deleted, found new finalizers {shown}"
            errors.append(FieldError("metadata.finalizers", "FieldValueForbidden", f"Forbidden: {text}"))
    return errors + _validate_maps(new) + _validate_lists(new)
