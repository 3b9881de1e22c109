"""What an informer knows: frozen objects by namespace and name, and indexes over them.

Plain data without I/O.  Every change goes through `replace`, `put` or `drop`, which keep the indexes right and say what
changed; readers get the stored objects themselves, which nobody can modify.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from tiphys.api.selectors import LabelSelectorExpr
from tiphys.client.resources import ApiObject

T = TypeVar("T", bound=ApiObject)


class Key(NamedTuple):
    """namespace "" for cluster-scoped objects."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: ApiObject) -> Key:
    return Key(obj.metadata.namespace, obj.metadata.name)


IndexFunction = Callable[[T], Iterable[str]]
Change = tuple[T | None, T | None]  # (old, new); None: was not there, is not there any more


class Cache(Generic[T]):
    def __init__(self) -> None:
        self._objects: dict[Key, T] = {}
        self._functions: dict[str, IndexFunction[T]] = {}
        self._indexes: dict[str, dict[str, dict[Key, T]]] = {}
        self.add_index("namespace", lambda obj: [obj.metadata.namespace])

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[T]:
        return iter(self._objects.values())

    def add_index(self, name: str, function: IndexFunction[T]) -> None:
        """Make `by_index(name, value)` find the objects for which `function` names `value`."""
        self._functions[name] = function
        self._indexes[name] = {}
        for key, obj in self._objects.items():
            self._index(name, key, obj)

    def has_index(self, name: str) -> bool:
        return name in self._functions

    def get(self, namespace: str, name: str) -> T | None:
        return self._objects.get(Key(namespace, name))

    def by_index(self, name: str, value: str) -> Sequence[T]:
        return list(self._indexes[name].get(value, {}).values())

    def list(self, namespace: str | None = None, selector: LabelSelectorExpr | None = None) -> list[T]:
        """All objects, or those of one namespace; of these the ones whose labels `selector` matches."""
        found = self._objects.values() if namespace is None else self._indexes["namespace"].get(namespace, {}).values()
        if selector is None:
            return list(found)
        return [obj for obj in found if selector.matches(obj.metadata.labels)]

    def put(self, obj: T) -> Change[T]:
        key = key_of(obj)
        old = self._objects.get(key)
        if old is not None:
            self._unindex(key, old)
        self._objects[key] = obj
        for name in self._functions:
            self._index(name, key, obj)
        return old, obj

    def drop(self, key: Key) -> Change[T]:
        old = self._objects.pop(key, None)
        if old is not None:
            self._unindex(key, old)
        return old, None

    def replace(self, objects: Mapping[Key, T]) -> Sequence[Change[T]]:
        """Hold exactly `objects` from now on; unchanged ones are not in the answer."""
        changes = [self.drop(key) for key in tuple(self._objects) if key not in objects]
        for key, obj in objects.items():
            held = self._objects.get(key)
            if held is None or held.metadata.resourceVersion != obj.metadata.resourceVersion:
                changes.append(self.put(obj))
        return changes

    def _index(self, name: str, key: Key, obj: T) -> None:
        index = self._indexes[name]
        for value in self._functions[name](obj):
            index.setdefault(value, {})[key] = obj

    def _unindex(self, key: Key, obj: T) -> None:
        for name, function in self._functions.items():
            index = self._indexes[name]
            for value in function(obj):
                bucket = index.get(value)
                if bucket is not None:
                    bucket.pop(key, None)
                    if not bucket:
                        del index[value]
