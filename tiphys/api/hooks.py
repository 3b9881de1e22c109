"""Where the behaviour of a kind is found: in the modules beside its model, or in functions given to it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from typing import Any


class Hooks:
    """Finds a behaviour by its name, such as "validate"; None where the kind has nothing of its own to say."""

    def find(self, name: str) -> Any:
        raise NotImplementedError

    def data(self, name: str) -> Any:
        """The same for what is not a function: columns, selectable_fields, flags."""
        return self.find(name)


class SiblingModules(Hooks):
    """Behaviour in the modules beside `module`: <module>_strategy, _validation, _table, _conversion."""

    homes: Mapping[str, tuple[str, ...]] = {
        "strategy": (
            "prepare_for_create",
            "prepare_for_update",
            "prepare_status_update",
            "grace_period_seconds",
            "selectable_fields",
            "keeps_status_on_create",
            "generation_counts_annotations",
        ),
        "validation": ("validate", "validate_update", "validate_status_update", "warnings"),
        "table": ("columns", "cells", "row_conditions"),
        "conversion": ("storage", "to_storage", "from_storage"),
    }

    def __init__(self, module: str, kind_name: str) -> None:
        self._module = module
        self._kind_name = kind_name
        self._found: dict[str, Any] = {}

    def find(self, name: str) -> Any:
        if name not in self._found:
            home = next(home for home, names in self.homes.items() if name in names)
            self._found[name] = getattr(self._load(f"{self._module}_{home}"), name, None)
        return self._found[name]

    @staticmethod
    def _load(module: str) -> Any:
        if module not in sys.modules and importlib.util.find_spec(module) is None:
            return None
        return importlib.import_module(module)


class Functions(Hooks):
    """Behaviour given as functions: custom resources, tests."""

    def __init__(self, **functions: Any) -> None:
        self._functions = functions

    def find(self, name: str) -> Any:
        return self._functions.get(name)
