"""The empty list and the empty map that every absent field of every object shares: a pod has forty of them.

They are hashable, so that pydantic does not copy them, and refuse what `list` and `dict` do to grow.
"""

from typing import Any


class _EmptyList(list[Any]):
    """The one empty list that every absent list field shares; hashable so that pydantic does not copy it."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return 0

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("API objects are frozen: build a new list")

    append = extend = insert = __iadd__ = _refuse

    def __deepcopy__(self, memo: Any) -> list[Any]:
        return []

    def __reduce__(self) -> Any:
        return (list, ())


class _EmptyDict(dict[Any, Any]):
    """The one empty map that every absent map field shares."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return 0

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("API objects are frozen: build a new dict")

    __setitem__ = setdefault = update = __ior__ = _refuse

    def __deepcopy__(self, memo: Any) -> dict[Any, Any]:
        return {}

    def __reduce__(self) -> Any:
        return (dict, ())


EMPTY_LIST: list[Any] = _EmptyList()
EMPTY_DICT: dict[Any, Any] = _EmptyDict()
