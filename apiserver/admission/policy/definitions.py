"""Policies and their bindings as they are now, read once each.

What must stay true: an answer is never older than the watch cache; without a policy or without a binding it costs
nothing.  Policies come in the order of their names, the bindings of each in the order of theirs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from apiserver.admission import Obj
from apiserver.admission.expressions import Conditions
from apiserver.admission.matching import Match
from apiserver.storage.cacheitem import CacheItem
from apiserver.storage.resourcecache import ResourceCache
from apiserver.storage.watchcache import WatchCache
from tiphys.api.admissionregistration.expressions import (
    ANYTHING,
    BOOL,
    NULLABLE_TEXT,
    POLICY,
    TEXT,
    as_maps,
    compiled,
    variables_used,
)
from tiphys.api.customresource.cel.engine import CompileError, Expression
from tiphys.api.selectors import SelectorError
from tiphys.logs import fields

_log = logging.getLogger(__name__)
_PREFIX = "/registry/admissionregistration.k8s.io/"


class Formula:
    """An expression of a policy; `failure` says why it cannot run at all."""

    def __init__(self, text: str, wanted: tuple[str, ...] = ANYTHING, *, mutates: bool = False) -> None:
        self.text = text.strip()
        self.variables = variables_used(text)
        self.failure = ""
        self.expression: Expression | None = None
        try:
            self.expression = compiled(as_maps(text) if mutates else text, POLICY, wanted)
        except CompileError as error:
            self.failure = str(error)


@dataclass(frozen=True, slots=True)
class Validation:
    formula: Formula
    message: str
    message_formula: Formula | None
    reason: str


@dataclass(frozen=True, slots=True)
class Mutation:
    kind: str  # ApplyConfiguration or JSONPatch
    formula: Formula


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    match: Match
    conditions: Conditions
    conditions_use: tuple[str, ...]  # variables
    variables: dict[str, Formula]
    validations: tuple[Validation, ...]
    annotations: tuple[tuple[str, Formula], ...]
    mutations: tuple[Mutation, ...]
    param_kind: tuple[str, str] | None  # (apiVersion, kind)
    ignores_failure: bool
    reinvoked: bool


@dataclass(frozen=True, slots=True)
class Binding:
    name: str
    policy: str
    match: Match | None
    param_ref: Obj | None
    actions: frozenset[str]  # Deny, Warn, Audit


Bound = Sequence[tuple[Policy, Sequence[Binding]]]


class Policies:
    """`word`: mutating or validating."""

    def __init__(self, cache: WatchCache, word: str) -> None:
        self._policies = cache.resource(f"{_PREFIX}{word}admissionpolicies/")
        self._bindings = cache.resource(f"{_PREFIX}{word}admissionpolicybindings/")
        self._seen: tuple[Sequence[CacheItem], Sequence[CacheItem]] = ((), ())
        self._bound: Bound = ()

    def bound(self) -> Bound:
        """Every policy with a binding, with its bindings."""
        if not len(self._policies) or not len(self._bindings):
            return ()
        now = (self._policies.items(), self._bindings.items())
        if not all(_same(one, other) for one, other in zip(now, self._seen, strict=True)):
            self._seen, self._bound = now, self._read()
        return self._bound

    def _read(self) -> Bound:
        bindings: dict[str, list[Binding]] = {}
        for obj in _objects(self._bindings):
            try:
                binding = read_binding(obj)
            except (SelectorError, KeyError) as error:
                _log.warning("binding cannot be read", extra=fields(name=obj["metadata"]["name"], error=error))
                continue
            bindings.setdefault(binding.policy, []).append(binding)
        found = []
        for obj in _objects(self._policies):
            name = obj["metadata"]["name"]
            if name not in bindings:
                continue
            try:
                found.append((read_policy(obj), bindings[name]))
            except (SelectorError, KeyError) as error:
                _log.warning("policy cannot be read", extra=fields(name=name, error=error))
        return found


def _same(one: Sequence[CacheItem], other: Sequence[CacheItem]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def _objects(resource: ResourceCache) -> list[dict[str, Any]]:
    return [orjson.loads(item.data) for item in resource.items()]


def read_policy(obj: Obj) -> Policy:
    """Raises SelectorError, KeyError."""
    spec = obj["spec"]
    ignores = spec.get("failurePolicy", "Fail") == "Ignore"
    conditions = spec.get("matchConditions") or ()
    kind = spec.get("paramKind")
    return Policy(
        obj["metadata"]["name"],
        Match.from_wire(spec.get("matchConstraints") or {}, "resourceRules"),
        Conditions(conditions, ignores_failure=ignores, names=POLICY),
        tuple(name for one in conditions for name in variables_used(one.get("expression", ""))),
        {one["name"]: Formula(one["expression"]) for one in spec.get("variables") or ()},
        tuple(_validation(one) for one in spec.get("validations") or ()),
        tuple(
            (one["key"], Formula(one["valueExpression"], NULLABLE_TEXT)) for one in spec.get("auditAnnotations") or ()
        ),
        tuple(_mutation(one) for one in spec.get("mutations") or ()),
        (kind.get("apiVersion", ""), kind.get("kind", "")) if kind else None,
        ignores,
        spec.get("reinvocationPolicy") == "IfNeeded",
    )


def _validation(item: Obj) -> Validation:
    said = item.get("messageExpression") or ""
    return Validation(
        Formula(item["expression"], BOOL),
        (item.get("message") or "").strip(),
        Formula(said, TEXT) if said else None,
        item.get("reason") or "Invalid",
    )


def _mutation(item: Obj) -> Mutation:
    kind = item["patchType"]
    part = item["jsonPatch"] if kind == "JSONPatch" else item["applyConfiguration"]
    return Mutation(kind, Formula(part["expression"], mutates=True))


def read_binding(obj: Obj) -> Binding:
    """Raises SelectorError, KeyError."""
    spec = obj["spec"]
    resources = spec.get("matchResources")
    return Binding(
        obj["metadata"]["name"],
        spec["policyName"],
        Match.from_wire(resources, "resourceRules") if resources else None,
        spec.get("paramRef"),
        frozenset(spec.get("validationActions") or ()),
    )
