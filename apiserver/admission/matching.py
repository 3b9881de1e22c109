"""Which writes a webhook or a policy is about: rules, the selectors of namespaces and objects, equivalent versions.

What must stay true: configurations of webhooks and policies are never matched, so that a bad one can be taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apiserver.admission import Attributes, Obj
from apiserver.resources import Resources
from tiphys.api.kinds import KindInfo
from tiphys.api.selectors import LabelSelectorExpr, from_label_selector
from tiphys.api.status import not_found

_EXEMPT_GROUP = "admissionregistration.k8s.io"
_EXEMPT = frozenset(
    f"{word}{what}"
    for word in ("mutating", "validating")
    for what in ("webhookconfigurations", "admissionpolicies", "admissionpolicybindings")
)
_NAMESPACES = "/registry/core/namespaces/"
_EQUIVALENTS = "equivalent kinds"


def is_exempt(attributes: Attributes) -> bool:
    return attributes.info.group == _EXEMPT_GROUP and attributes.info.plural in _EXEMPT


@dataclass(frozen=True, slots=True)
class Rule:
    """A RuleWithOperations; `names` (of policies) is empty for all."""

    operations: frozenset[str]
    groups: frozenset[str]
    versions: frozenset[str]
    resources: tuple[tuple[str, str], ...]  # (resource, subresource), "*" for any; subresource "" for none
    scope: str
    names: frozenset[str]

    @classmethod
    def from_wire(cls, rule: Obj) -> Rule:
        resources = tuple((text.partition("/")[0], text.partition("/")[2]) for text in rule.get("resources") or ())
        return cls(
            frozenset(rule.get("operations") or ()),
            frozenset(rule.get("apiGroups") or ()),
            frozenset(rule.get("apiVersions") or ()),
            resources,
            rule.get("scope") or "*",
            frozenset(rule.get("resourceNames") or ()),
        )

    def matches(self, attributes: Attributes, info: KindInfo) -> bool:
        """`info`: the kind of the write, or an equivalent one."""
        if not (_in(attributes.operation, self.operations) and _in(info.group, self.groups)):
            return False
        if not _in(info.version, self.versions) or (self.names and attributes.name not in self.names):
            return False
        if self.scope != "*" and (self.scope == "Namespaced") != bool(attributes.namespace):
            return False
        return any(
            resource in ("*", info.plural) and subresource in ("*", attributes.subresource)
            for resource, subresource in self.resources
        )


def _in(value: str, values: frozenset[str]) -> bool:
    return value in values or "*" in values


@dataclass(frozen=True, slots=True)
class Match:
    """A webhook's or policy's own rules and selectors, read once."""

    rules: tuple[Rule, ...]
    excluded: tuple[Rule, ...]
    namespaces: LabelSelectorExpr | None  # None: all
    objects: LabelSelectorExpr | None
    equivalent: bool

    @classmethod
    def from_wire(cls, source: Obj, rules: str = "rules") -> Match:
        """`source`: a webhook, or with rules="resourceRules" the constraints of a policy.  Raises SelectorError."""
        return cls(
            tuple(Rule.from_wire(one) for one in source.get(rules) or ()),
            tuple(Rule.from_wire(one) for one in source.get("excludeResourceRules") or ()),
            _selector(source.get("namespaceSelector")),
            _selector(source.get("objectSelector")),
            source.get("matchPolicy", "Equivalent") == "Equivalent",
        )

    def find(self, attributes: Attributes, resources: Resources, *, any_rule: bool = False) -> KindInfo | None:
        """The kind in whose form the write is wanted; None where it is not.  Raises 404 for a missing namespace.

        `any_rule`: no rules at all means every write (bindings of policies)."""
        found = attributes.info if any_rule and not self.rules else self._kind(self.rules, attributes, resources)
        if found is None or (self.excluded and self._kind(self.excluded, attributes, resources) is not None):
            return None
        if self.namespaces is not None and not self._is_namespace(attributes, resources):
            return None
        if self.objects is not None and not self._is_object(attributes):
            return None
        return found

    def _kind(self, rules: tuple[Rule, ...], attributes: Attributes, resources: Resources) -> KindInfo | None:
        if any(rule.matches(attributes, attributes.info) for rule in rules):
            return attributes.info
        if not self.equivalent:
            return None
        for info in equivalents(attributes, resources):
            if any(rule.matches(attributes, info) for rule in rules):
                return info
        return None

    def _is_namespace(self, attributes: Attributes, resources: Resources) -> bool:
        assert self.namespaces is not None
        if attributes.is_for("", "namespaces"):
            if attributes.obj is not None and not attributes.subresource:
                return self.namespaces.matches(attributes.obj["metadata"].get("labels") or {})
        elif not attributes.namespace:
            return True
        name = attributes.namespace or attributes.name
        item = resources.cache.resource(_NAMESPACES).get(_NAMESPACES + name)
        if item is None:
            if attributes.old is not None and attributes.is_for("", "namespaces"):
                return self.namespaces.matches(attributes.old["metadata"].get("labels") or {})
            raise not_found("", "namespaces", name)
        return self.namespaces.matches(item.labels)

    def _is_object(self, attributes: Attributes) -> bool:
        assert self.objects is not None
        return any(
            self.objects.matches(one.get("metadata", {}).get("labels") or {})
            for one in (attributes.obj, attributes.old)
            if one is not None and attributes.operation != "CONNECT"
        )


def _selector(selector: Mapping[str, Any] | None) -> LabelSelectorExpr | None:
    if not selector:
        return None
    found = from_label_selector(selector)
    return None if found.empty else found


def equivalents(attributes: Attributes, resources: Resources) -> Iterable[KindInfo]:
    """The other kinds that show the same objects: other versions, the other group of events."""
    found: list[KindInfo] | None = attributes.notes.get(_EQUIVALENTS)
    if found is None:
        info, subresource = attributes.info, attributes.subresource
        found = [
            one
            for one in resources.registry.all()
            if one.plural == info.plural
            and one is not info
            and one.storage == info.storage
            and (not subresource or subresource in one.subresources)
        ]
        attributes.notes[_EQUIVALENTS] = found
    return found
