"""Which devices are wanted: expressions that are there, bounded in number; settings for a driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api import field_checks as check
from tiphys.api.field_checks import Errors
from tiphys.api.names import is_dns1123_label
from tiphys.api.status import duplicate, required, too_many
from tiphys.api.storage.drivernames import driver_name_errors

Object = Mapping[str, Any]
MAX_ITEMS = 32


def selectors_errors(path: str, selectors: list[Object]) -> Errors:
    if len(selectors) > MAX_ITEMS:
        return [too_many(path, len(selectors), MAX_ITEMS)]
    return check.each(path, selectors, _selector)


def _selector(path: str, selector: Object) -> Errors:
    cel = selector.get("cel")
    if cel is None:
        return [required(f"{path}.cel")]
    return [] if cel.get("expression") else [required(f"{path}.cel.expression")]


def opaque_errors(path: str, config: Object) -> Errors:
    opaque = config.get("opaque")
    if opaque is None:
        return [required(f"{path}.opaque")]
    errors = driver_name_errors(f"{path}.opaque.driver", opaque.get("driver", ""))
    return errors if opaque.get("parameters") is not None else [*errors, required(f"{path}.opaque.parameters")]


def configs_errors(path: str, configs: list[Object]) -> Errors:
    if len(configs) > MAX_ITEMS:
        return [too_many(path, len(configs), MAX_ITEMS)]
    return check.each(path, configs, opaque_errors)


def unique_names(path: str, items: list[Object]) -> Errors:
    """Every item has a DNS label of its own as `name`."""
    errors: Errors = []
    seen: set[str] = set()
    for index, item in enumerate(items):
        name = item.get("name", "")
        errors += check.name(f"{path}[{index}].name", name, is_dns1123_label)
        if name in seen:
            errors.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
    return errors
