"""Whether a value is what its schema says: every keyword of OpenAPI v3 that CRDs may use, in upstream's words.

On an update, what is wrong but was so before is let through: a schema that became stricter does not freeze objects
that are already there (ratcheting).  Inside allOf, anyOf, oneOf and not nothing is let through that way.

What must stay true: the work is bounded by the size of the value times the size of the schema; patterns are matched by
an engine that cannot hang.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tiphys.api.customresource.formats import is_format
from tiphys.api.customresource.regex import is_match
from tiphys.api.customresource.structural import ABSENT, INT_OR_STRING, LIST_MAP_KEYS, LIST_TYPE
from tiphys.api.status import FieldError, invalid, not_supported, required, show, too_many

Errors = list[FieldError]
Schema = Mapping[str, Any]

NOWHERE = "<nil>"  # the path upstream gives to failures of allOf, anyOf, oneOf and not


def validate(value: Any, schema: Schema, old: Any = ABSENT, path: str = "") -> Errors:
    """The errors of a value; `old` is the value it replaces, where there is one."""
    if old is not ABSENT and _equal(value, old):
        return []
    if value is None and schema.get("nullable"):
        return []
    errors = _type(value, schema, path)
    if errors:
        return errors
    if "enum" in schema and not any(_equal(value, allowed) for allowed in schema["enum"]):
        texts = [one if isinstance(one, str) else show(one) for one in schema["enum"]]
        errors.append(not_supported(path, value, texts))
    if isinstance(value, str):
        errors += _text(value, schema, path)
    elif isinstance(value, bool):
        pass
    elif isinstance(value, int | float):
        errors += _number(value, schema, path)
    elif isinstance(value, list):
        errors += _list(value, schema, old, path)
    elif isinstance(value, dict):
        errors += _object(value, schema, old, path)
    return errors + _junctions(value, schema, path)


def _equal(one: Any, other: Any) -> bool:
    """Equal as JSON values: true is not 1."""
    return one == other and isinstance(one, bool) is isinstance(other, bool)


def _body(path: str, text: str) -> str:
    """The middle of most messages: "spec.replicas in body must be ...", with the root's own path empty."""
    return f"{path} in body {text}".lstrip()


def _word(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _type(value: Any, schema: Schema, path: str) -> Errors:
    wanted, found = schema.get("type") or "", _word(value)
    if schema.get(INT_OR_STRING) and not wanted:
        if isinstance(value, str) or (found == "integer" and not isinstance(value, bool)):
            return []
        wanted = "integer,string"
    elif not wanted or wanted == found or (wanted == "number" and found == "integer"):
        return []
    return [_wrong_type(found, wanted, path)]


def _wrong_type(found: str, wanted: str, path: str) -> FieldError:
    text = _body(path, f'must be of type {wanted}: "{found}"')
    return FieldError(path, "FieldValueTypeInvalid", f"Invalid value: {show(found)}: {text}")


def _number(value: float, schema: Schema, path: str) -> Errors:
    errors = []
    low, high, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if high is not None and (value >= high if schema.get("exclusiveMaximum") else value > high):
        word = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        errors.append(invalid(path, value, _body(path, f"should be {word} {_plain(high)}")))
    if low is not None and (value <= low if schema.get("exclusiveMinimum") else value < low):
        word = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        errors.append(invalid(path, value, _body(path, f"should be {word} {_plain(low)}")))
    if step and not _is_multiple(value, step):
        errors.append(invalid(path, value, _body(path, f"should be a multiple of {_plain(step)}")))
    return errors + _number_format(value, str(schema.get("format") or ""), path)


_RANGES = {"int32": 2**31, "int64": 2**63}


def _number_format(value: float, name: str, path: str) -> Errors:
    if name in _RANGES and not -_RANGES[name] <= value < _RANGES[name]:
        text = f"Checked value must be of type integer with format {name} in {path}"
        return [invalid(path, value, text)]
    return []


def _is_multiple(value: float, step: float) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    quotient = Decimal(str(value)) / Decimal(str(step))
    return quotient.adjusted() > 27 or quotient == quotient.to_integral_value()


def _plain(number: float) -> str:
    """A bound as Go prints it with %v."""
    return str(int(number)) if isinstance(number, int) or number.is_integer() else repr(number)


def _text(value: str, schema: Schema, path: str) -> Errors:
    errors = []
    longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if longest is not None and len(value) > longest:
        errors.append(FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {longest} bytes"))
    if shortest is not None and len(value) < shortest:
        errors.append(invalid(path, value, _body(path, f"should be at least {shortest} chars long")))
    if pattern and not is_match(pattern, value):
        errors.append(invalid(path, value, _body(path, f"should match '{pattern}'")))
    name = str(schema.get("format") or "")
    if name and not is_format(name, value):
        errors.append(invalid(path, value, _body(path, f"must be of type {name}: {show(value)}")))
    return errors


def _list(value: Sequence[Any], schema: Schema, old: Any, path: str) -> Errors:
    errors = []
    most, least, items = schema.get("maxItems"), schema.get("minItems"), schema.get("items")
    if most is not None and len(value) > most:
        errors.append(too_many(path, len(value), most))
    if least is not None and len(value) < least:
        errors.append(invalid(path, len(value), _body(path, f"should have at least {least} items")))
    if isinstance(items, dict):
        before = _old_items(old, schema)
        for index, item in enumerate(value):
            errors += validate(item, items, before(index, item), f"{path}[{index}]")
    return errors


def _old_items(old: Any, schema: Schema) -> Any:
    """(index, item) -> the item it replaces.  Only the items of a keyed list can be told from one another."""
    if not isinstance(old, list) or schema.get(LIST_TYPE) != "map":
        return lambda index, item: ABSENT
    keys = schema.get(LIST_MAP_KEYS) or []
    by_key = {_key_of(item, keys): item for item in old if isinstance(item, dict)}
    return lambda index, item: by_key.get(_key_of(item, keys), ABSENT)


def _key_of(item: Any, keys: Iterable[str]) -> Any:
    return tuple(show(item.get(key)) for key in keys) if isinstance(item, dict) else None


def _object(value: Mapping[str, Any], schema: Schema, old: Any, path: str) -> Errors:
    errors = []
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if most is not None and len(value) > most:
        errors.append(too_many(path, len(value), most))
    if least is not None and len(value) < least:
        errors.append(invalid(path, len(value), _body(path, f"should have at least {least} properties")))
    errors += [required(_join(path, name)) for name in schema.get("required") or () if name not in value]
    known = schema.get("properties") or {}
    others = schema.get("additionalProperties")
    before = old if isinstance(old, dict) else {}
    for name, item in value.items():
        below = known.get(name, others)
        if isinstance(below, dict):
            errors += validate(item, below, before.get(name, ABSENT), _join(path, name))
        elif below is False and name not in known:
            errors.append(FieldError(_join(path, name), "FieldValueForbidden", "Forbidden: is a forbidden property"))
    return errors


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _junctions(value: Any, schema: Schema, path: str) -> Errors:
    errors: Errors = []
    if any_of := schema.get("anyOf"):
        found = [validate(value, one, path=path) for one in any_of]
        if all(found):
            text = f'"{path}" must validate at least one schema (anyOf)'
            errors += [invalid(NOWHERE, "", text), *_closest(found)]
    if one_of := schema.get("oneOf"):
        found = [validate(value, one, path=path) for one in one_of]
        valid = sum(not one for one in found)
        if valid != 1:
            text = f"Found {valid} valid alternatives" if valid else "Found none valid"
            text = f'"{path}" must validate one and only one schema (oneOf). {text}'
            errors.append(invalid(NOWHERE, "", text))
            if not valid:
                errors += _closest(found)
    if all_of := schema.get("allOf"):
        failed = [error for one in all_of for error in validate(value, one, path=path)]
        if failed:
            errors += [*failed, invalid(NOWHERE, "", f'"{path}" must validate all the schemas (allOf)')]
    if "not" in schema and isinstance(schema["not"], dict) and not validate(value, schema["not"], path=path):
        errors.append(invalid(NOWHERE, "", f'"{path}" must not validate the schema (not)'))
    return errors


def _closest(found: Sequence[Errors]) -> Errors:
    """The errors of the alternative that came nearest."""
    return min(found, key=len)
