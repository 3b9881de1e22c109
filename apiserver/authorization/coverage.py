"""Does one set of rules cover another?  The question behind "you cannot grant what you do not have".

Rules are broken down to one group, resource, name and verb each; every such atom must be within a single rule of the
owner's, as upstream decides it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from apiserver.authorization.rules import Rule, url_covers


def missing(owned: Sequence[Rule], wanted: Sequence[Rule]) -> list[Rule]:
    """The atoms of `wanted` that no rule of `owned` covers."""
    return [atom for rule in wanted for atom in atoms(rule) if not any(_covers(one, atom) for one in owned)]


def atoms(rule: Rule) -> Iterator[Rule]:
    for group, resource, verb in product(rule.groups, rule.resources, rule.verbs):
        if not rule.names:
            yield Rule((verb,), (group,), (resource,))
        for name in rule.names:
            yield Rule((verb,), (group,), (resource,), (name,))
    for url, verb in product(rule.urls, rule.verbs):
        yield Rule((verb,), urls=(url,))


def compact(rules: Sequence[Rule]) -> list[Rule]:
    """Atoms of one resource and name joined into one rule with all their verbs."""
    joined: dict[Rule, list[str]] = {}
    for rule in rules:
        key = Rule((), rule.groups, rule.resources, rule.names, rule.urls)
        if rule.urls:
            key = Rule(rule.verbs, urls=rule.urls)  # paths stay as they are
        joined.setdefault(key, []).extend(verb for verb in rule.verbs if verb not in joined.get(key, []))
    return [Rule(tuple(verbs), key.groups, key.resources, key.names, key.urls) for key, verbs in joined.items()]


def _covers(owner: Rule, atom: Rule) -> bool:
    if "*" not in owner.verbs and atom.verbs[0] not in owner.verbs:
        return False
    if atom.urls:
        return any(url_covers(pattern, atom.urls[0]) for pattern in owner.urls)
    if "*" not in owner.groups and atom.groups[0] not in owner.groups:
        return False
    if owner.names and (not atom.names or atom.names[0] not in owner.names):
        return False
    resource = atom.resources[0]
    if "*" in owner.resources or resource in owner.resources:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in owner.resources
