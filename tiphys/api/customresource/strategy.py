"""What a create, an update and a status update do to a custom resource, and what is checked (upstream's strategy).

Generation counts every change outside metadata; with a status subresource the status does not count.  A write to the
status takes nothing but the status, not even labels.
"""

from __future__ import annotations

from typing import Any

from tiphys.api.customresource.lists import duplicates
from tiphys.api.customresource.rules import Rules
from tiphys.api.customresource.structural import ABSENT, Structural
from tiphys.api.customresource.validation import validate
from tiphys.api.declaration import struct_of
from tiphys.api.decode import decode
from tiphys.api.meta import ObjectMeta
from tiphys.api.names import is_dns1123_subdomain
from tiphys.api.status import FieldError, StatusError, invalid, required

JsonObject = dict[str, Any]
Errors = list[FieldError]

NOT_CHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)


# After one of these a rule would not see what it expects to see.
_BLOCKING = frozenset(
    ("FieldValueTypeInvalid", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueNotSupported")
)


class Behaviour:
    """The hooks of one version of a custom resource."""

    def __init__(self, group: str, version: str, kind: str, schema: Structural, *, has_status: bool) -> None:
        self._api_version = f"{group}/{version}"
        self._kind = kind
        self._schema = schema
        self._has_status = has_status
        self._rules = Rules.of(schema)

    def prepare_for_create(self, obj: JsonObject) -> None:
        obj["metadata"]["generation"] = 1

    def prepare_for_update(self, new: JsonObject, old: JsonObject) -> None:
        ignored = {"metadata", "status"} if self._has_status else {"metadata"}
        changed = any(new.get(name) != old.get(name) for name in {*new, *old} - ignored)
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + int(changed)

    def prepare_status_update(self, new: JsonObject, old: JsonObject) -> None:
        """Everything but the status is as it was; who set what is taken from the write."""
        kept = {name: new["metadata"][name] for name in ("managedFields", "resourceVersion") if name in new["metadata"]}
        was = {name: value for name, value in old["metadata"].items() if name != "managedFields"}
        new["metadata"] = {**was, **kept}

    def validate(self, obj: JsonObject) -> Errors:
        name = obj["metadata"].get("name", "")
        errors = [invalid("metadata.name", name, text) for text in is_dns1123_subdomain(name)] if name else []
        return errors + self._check(obj, None)

    def validate_update(self, new: JsonObject, old: JsonObject) -> Errors:
        return self._check(new, old)

    def validate_status_update(self, new: JsonObject, old: JsonObject) -> Errors:
        return self._check(new, old)

    def _check(self, new: JsonObject, old: JsonObject | None) -> Errors:
        before = ABSENT if old is None else _shown(old, self._schema)
        errors = validate(_shown(new, self._schema), self._schema.text, before)
        errors += _embedded(new, self._schema, "", root=True)
        errors += _new_duplicates(new, old, self._schema)
        if self._rules is None:
            return errors
        if any(error.reason in _BLOCKING for error in errors):
            return [*errors, invalid("<nil>", "null", NOT_CHECKED)]
        return errors + self._rules.check(new, old)


def _shown(obj: JsonObject, schema: Structural) -> JsonObject:
    """What the schema sees: of metadata, only the names, and only where it restricts them."""
    if "metadata" not in schema.properties:
        return obj
    names = {name: obj["metadata"][name] for name in ("name", "generateName") if name in obj["metadata"]}
    return {**obj, "metadata": names}


def _new_duplicates(new: JsonObject, old: JsonObject | None, schema: Structural) -> Errors:
    """An object that had duplicates before may keep them."""
    errors = duplicates(new, schema)
    return errors if errors and (old is None or not duplicates(old, schema)) else []


def _embedded(value: Any, node: Structural, path: str, *, root: bool = False) -> Errors:
    """An object inside an object (x-kubernetes-embedded-resource) must say what it is."""
    errors: Errors = []
    if isinstance(value, dict):
        if node.embedded and not root:
            errors += _type_meta(value, path)
        for name, item in value.items():
            below = node.member(name)
            if below is not None:
                errors += _embedded(item, below, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            errors += _embedded(item, node.items, f"{path}[{index}]")
    return errors


def _type_meta(value: JsonObject, path: str) -> Errors:
    errors = [required(f"{path}.{name}", "must not be empty") for name in ("apiVersion", "kind") if not value.get(name)]
    if "metadata" in value:
        try:
            decode({"metadata": value["metadata"]}, _HOLDER)
        except StatusError as error:
            errors.append(invalid(f"{path}.metadata", "", error.message.rpartition(": ")[2]))
    return errors


def _holder() -> Any:
    from tiphys.api.schema import Field, Struct

    return Struct("", lambda: {"metadata": Field("metadata", struct_of(ObjectMeta))})


_HOLDER = _holder()
