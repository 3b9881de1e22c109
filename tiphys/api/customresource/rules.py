"""x-kubernetes-validations: stub."""

from __future__ import annotations

from typing import Any

from tiphys.api.customresource.structural import Structural
from tiphys.api.status import FieldError


class Rules:
    @classmethod
    def of(cls, schema: Structural) -> Rules | None:
        return None

    def check(self, new: Any, old: Any) -> list[FieldError]:
        return []


def rule_errors(node: Structural, path: str) -> list[FieldError]:
    return []
