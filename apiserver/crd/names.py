"""Who gets a name: plural, singular, short names, kind and list kind are unique among the kinds of a group.

Pure.  What must stay true: a name once accepted is not taken away by a later definition; built-in kinds keep theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tiphys.api.kinds import KindInfo

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """The names others have in a group."""

    resources: frozenset[str]
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` is upstream's for the NamesAccepted condition; `names` become status.acceptedNames."""

    accepted: bool
    reason: str
    message: str
    names: Obj


def names_taken(group: str, others: Iterable[Mapping[str, Any]], builtin: Iterable[KindInfo]) -> Taken:
    """`others` are the definitions but the one in question."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for one in others:
        if one["spec"]["group"] != group:
            continue
        names = (one.get("status") or {}).get("acceptedNames") or {}
        resources |= {names.get("plural", ""), names.get("singular", ""), *(names.get("shortNames") or ())}
        kinds |= {names.get("kind", ""), names.get("listKind", "")}
    for info in builtin:
        if info.group == group:
            resources |= {info.plural, info.singular, *info.short_names}
            kinds |= {info.kind, info.list_kind}
    return Taken(frozenset(resources - {""}), frozenset(kinds - {""}))


def decide(definition: Mapping[str, Any], taken: Taken) -> Decision:
    wanted = definition["spec"]["names"]
    had = (definition.get("status") or {}).get("acceptedNames") or {}
    names = {"plural": "", "kind": "", **had}
    reason = message = ""
    for field, title, used in (
        ("plural", "Plural", taken.resources),
        ("singular", "Singular", taken.resources),
        ("shortNames", "ShortNames", taken.resources),
        ("kind", "Kind", taken.kinds),
        ("listKind", "ListKind", taken.kinds),
    ):
        refused = _refused(wanted.get(field), had.get(field), used)
        if refused:
            reason, message = f"{title}Conflict", _together([f'"{name}" is already in use' for name in refused])
        elif wanted.get(field):
            names[field] = wanted[field]
        else:
            names.pop(field, None)
    if wanted.get("categories"):
        names["categories"] = wanted["categories"]
    else:
        names.pop("categories", None)
    if reason:
        return Decision(False, reason, message, names)
    return Decision(True, "NoConflicts", "no conflicts found", names)


def _refused(wanted: Any, had: Any, used: frozenset[str]) -> list[str]:
    if isinstance(wanted, list):
        return [name for name in wanted if name not in (had or ()) and name in used]
    return [wanted] if wanted and wanted != had and wanted in used else []


def _together(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
