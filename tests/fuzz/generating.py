"""Objects made from a kind's own schema: mostly what it asks for, here and there what it does not expect."""

from __future__ import annotations

import copy
import random
from typing import Any

from tests.fuzz.fuzzing import VALUES
from tiphys.api.kinds import KindInfo, Registry, builtin_registry
from tiphys.api.schema import Anything, ListOf, MapOf, Scalar, Struct, Type

REGISTRY: Registry = builtin_registry()
KINDS: list[KindInfo] = list(REGISTRY.all())
DEEPEST = 9
TEXTS = (
    "a", "x-1", "web", "example.com/a", "10.0.0.1", "10.0.0.0/24", "::1", "/data", "../up", "http", "TCP", "80",
    "Always",
    "ClusterFirst", "RollingUpdate", "Recreate", "ReadWriteOnce", "*", "get", "In", "Exists", "", "A" * 300, "é",
    "0 * * * *",
    "100Mi", "50%", "metadata.name", "$(A)", "\x00", "🦀", "Europe/Paris", "4294967296", "ClusterIP", "None",
    "kubernetes.io/tls",
)  # fmt: skip
FORMATS: dict[str, tuple[Any, ...]] = {
    "quantity": ("1", "100m", "1Gi", "0", "-1", "1e3", "1e999999", "9" * 40, 5, 1.5, "", "1E400Ki", "1.5Ki"),
    "int-or-string": (80, "http", "50%", 0, -1, "", 70000, "101%", "9" * 30 + "%", "%"),
    "date-time": ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+01:00", "x", "", "9999-12-31T23:59:59-23:59"),
    "micro-time": ("2026-01-02T03:04:05.000006Z", "2026-01-02T03:04:05Z", "x", "", "0001-01-01T00:00:00+23:59"),
    "byte": ("aGk=", "", "=", "aGk", "é"),
}
NUMBERS = (0, 1, 2, 80, 3000, -1, 65536, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))


def generated(type_: Type, source: random.Random, depth: int = 0) -> Any:
    """A value of that type; one in sixty is anything at all."""
    if source.random() < 1 / 60:
        return copy.deepcopy(source.choice(VALUES))
    if isinstance(type_, Scalar):
        return _scalar(type_, source)
    if isinstance(type_, Anything):
        return copy.deepcopy(source.choice(VALUES))
    if isinstance(type_, ListOf):
        count = source.choice((0, 1, 1, 2, 3)) if depth < DEEPEST else 0
        return [generated(type_.items, source, depth + 1) for _ in range(count)]
    if isinstance(type_, MapOf):
        count = source.choice((0, 1, 2)) if depth < DEEPEST else 0
        return {source.choice(TEXTS): generated(type_.values, source, depth + 1) for _ in range(count)}
    return _struct(type_, source, depth)


def _scalar(type_: Scalar, source: random.Random) -> Any:
    if type_.format in FORMATS:
        return source.choice(FORMATS[type_.format])
    if type_.type == "boolean":
        return source.random() < 0.5
    if type_.type in ("integer", "number"):
        return source.choice(NUMBERS)
    return source.choice(TEXTS)


def _struct(type_: Struct, source: random.Random, depth: int) -> dict[str, Any]:
    share = 0.45 / (1 + depth / 3)
    made = {}
    for name, field in type_.fields.items():
        if not (field.required and depth < DEEPEST) and source.random() > share:
            continue
        if field.enum and source.random() < 0.9:
            made[name] = source.choice(field.enum)
        else:
            made[name] = generated(field.type, source, depth + 1)
    if source.random() < 1 / 60:
        made[source.choice(TEXTS)] = copy.deepcopy(source.choice(VALUES))
    return made


def an_object(info: KindInfo, source: random.Random) -> dict[str, Any]:
    """A body of that kind with a name, so that most get past the metadata."""
    made = _struct(info.schema, source, 0)
    made["apiVersion"], made["kind"] = info.api_version, info.kind
    metadata = made.get("metadata")
    if not isinstance(metadata, dict) or source.random() < 0.7:
        made["metadata"] = {"name": "a", **({"namespace": "default"} if info.namespaced else {})}
    else:
        metadata["name"] = source.choice(("a", "a", "x-1", *TEXTS))
    return made
