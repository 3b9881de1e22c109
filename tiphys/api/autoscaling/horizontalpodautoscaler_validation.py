"""Autoscalers of version 1 keep the rules of version 2, which is what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.api.autoscaling import horizontalpodautoscaler_v2_validation as stored
from tiphys.api.autoscaling.horizontalpodautoscaler_conversion import to_storage
from tiphys.api.field_checks import Errors

Object = Mapping[str, Any]


def validate(obj: Object) -> Errors:
    return stored.validate(to_storage(dict(obj)))


def validate_update(new: Object, old: Object) -> Errors:
    return stored.validate_update(to_storage(dict(new)), to_storage(dict(old)))


def validate_status_update(new: Object, old: Object) -> Errors:
    return stored.validate_status_update(to_storage(dict(new)), to_storage(dict(old)))
