"""The APIService objects of what this server serves itself: made, corrected and removed.

A label says who keeps an object: `onstart` (built-in groups) means it is put right when the server starts, `true`
(custom resources) whenever it differs, no label that it is somebody else's.  `plan` is the table of that, and pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apiserver.aggregator.apiservices import CUSTOM, GROUP, builtin_priority
from tiphys.api.kinds import KindInfo

Obj = dict[str, Any]

LABEL = "kube-aggregator.kubernetes.io/automanaged"
ON_START, ALWAYS = "onstart", "true"


@dataclass(slots=True)
class Plan:
    """Names, sorted."""

    create: list[str] = field(default_factory=list)
    update: list[str] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)


def wanted(kinds: Iterable[KindInfo]) -> dict[str, Obj]:
    """Name -> the object there should be, of every group and version but the one that declares APIServices."""
    found: dict[str, Obj] = {}
    for info in kinds:
        name = f"{info.version}.{info.group}"
        if info.group == GROUP or name in found:
            continue
        custom = info.model is None
        group_priority, version_priority = CUSTOM if custom else builtin_priority(info.group, info.version)
        spec: Obj = {"group": info.group} if info.group else {}
        spec |= {"version": info.version, "groupPriorityMinimum": group_priority, "versionPriority": version_priority}
        metadata = {"name": name, "labels": {LABEL: ALWAYS if custom else ON_START}}
        found[name] = {"metadata": metadata, "spec": spec}
    return found


def plan(
    wanted: Mapping[str, Obj], current: Mapping[str, Obj], *, starting: bool, at_start: Collection[str] = ()
) -> Plan:
    """`at_start`: the names that were there when the server started; `starting`: the first look."""
    made = Plan()
    for name in sorted({*wanted, *current}):
        want, have = wanted.get(name), current.get(name)
        kept_by = "" if have is None else (have["metadata"].get("labels") or {}).get(LABEL, "")
        if have is None:
            assert want is not None
            if starting or want["metadata"]["labels"][LABEL] == ALWAYS:
                made.create.append(name)
        elif kept_by not in (ON_START, ALWAYS) or (kept_by == ON_START and not (starting and name in at_start)):
            continue
        elif want is None:
            made.delete.append(name)
        elif have.get("spec") != want["spec"] or kept_by != want["metadata"]["labels"][LABEL]:
            made.update.append(name)
    return made
