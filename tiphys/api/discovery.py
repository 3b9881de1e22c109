"""Discovery documents: which groups, versions, resources and subresources there are, in both forms clients ask for.

The aggregated form (apidiscovery.k8s.io/v2) answers everything in one or two documents; the legacy form has one per
group and version.  Content types and caching are the server's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tiphys.api.kinds import KindInfo, Registry, SubresourceInfo

JsonObject = dict[str, Any]

Order = Sequence[tuple[str, Sequence[str]]]
"""Every group but the core one with its versions: the first group that knows a short name wins in clients, and the
first version of a group is its preferred one."""
Elsewhere = Callable[[str, str], tuple[list[JsonObject], bool] | None]
"""(group, version) -> the resources another server lists and whether that is fresh, None where this server answers."""


_VERSION = re.compile(r"v([1-9]\d{0,9})(?:(alpha|beta)([1-9]\d{0,9}))?\Z", re.ASCII)
_STABILITY = {None: 0, "beta": 1, "alpha": 2}


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Sorts v2, v1, v1beta2, v1beta1, v1alpha1, then what is no such version by its name: upstream's order."""
    match = _VERSION.match(version)
    if match is None:
        return 3, 0, 0, version
    return _STABILITY[match[2]], -int(match[1]), -int(match[3] or 0), version


# --- aggregated -------------------------------------------------------------------------------------------------------


def aggregated_core(registry: Registry) -> JsonObject:
    """The answer to /api for the aggregated form."""
    return _discovery_list([_aggregated_group(registry, "", ["v1"])])


def aggregated_groups(
    registry: Registry, order: Order, elsewhere: Elsewhere = lambda group, version: None
) -> JsonObject:
    """The answer to /apis for the aggregated form."""
    return _discovery_list([_aggregated_group(registry, *entry, elsewhere) for entry in order])


def _discovery_list(items: list[JsonObject]) -> JsonObject:
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated_group(
    registry: Registry, group: str, versions: Sequence[str], elsewhere: Elsewhere = lambda group, version: None
) -> JsonObject:
    shown: list[JsonObject] = []
    for version in versions:
        found = elsewhere(group, version)
        resources, fresh = found or ([_aggregated_resource(one) for one in _resources(registry, group, version)], True)
        document: JsonObject = {"version": version, "resources": resources}
        shown.append({**document, "freshness": "Current" if fresh else "Stale"})
    return {"metadata": {"name": group} if group else {}, "versions": shown}


def _aggregated_resource(info: KindInfo) -> JsonObject:
    document: JsonObject = {
        "resource": info.plural,
        "responseKind": {"group": info.group, "version": info.version, "kind": info.kind},
        "scope": "Namespaced" if info.namespaced else "Cluster",
        "singularResource": info.singular,
        "verbs": list(info.verbs),
    }
    if info.short_names:
        document["shortNames"] = list(info.short_names)
    if info.categories:
        document["categories"] = list(info.categories)
    if info.subresources:
        document["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {"group": sub.group, "version": sub.version, "kind": sub.kind},
                "verbs": list(sub.verbs),
            }
            for sub in _sorted(info)
        ]
    return document


# --- legacy -----------------------------------------------------------------------------------------------------------


def legacy_core_versions(server_address: str) -> JsonObject:
    """/api; `server_address` is host:port as clients outside may use it."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }


def legacy_groups(order: Order) -> JsonObject:
    """/apis"""
    groups = [_legacy_group(group, versions) for group, versions in order]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def legacy_group(order: Order, group: str) -> JsonObject | None:
    """/apis/GROUP"""
    versions = dict(order).get(group)
    return None if versions is None else {"kind": "APIGroup", "apiVersion": "v1", **_legacy_group(group, versions)}


def _legacy_group(group: str, versions: Sequence[str]) -> JsonObject:
    named = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": named, "preferredVersion": named[0]}


def legacy_resources(registry: Registry, group: str, version: str) -> JsonObject | None:
    """/api/v1 and /apis/GROUP/VERSION"""
    infos = _resources(registry, group, version)
    if not infos:
        return None
    resources = []
    for info in infos:
        resources.append(_legacy_resource(info))
        resources += [_legacy_subresource(info, sub) for sub in _sorted(info)]
    document: JsonObject = {"kind": "APIResourceList"}
    if group:
        document["apiVersion"] = "v1"
    return {**document, "groupVersion": f"{group}/{version}" if group else version, "resources": resources}


def _legacy_resource(info: KindInfo) -> JsonObject:
    document: JsonObject = {
        "name": info.plural,
        "singularName": info.singular,
        "namespaced": info.namespaced,
        "kind": info.kind,
        "verbs": list(info.verbs),
    }
    if info.short_names:
        document["shortNames"] = list(info.short_names)
    if info.categories:
        document["categories"] = list(info.categories)
    return document


def _legacy_subresource(info: KindInfo, sub: SubresourceInfo) -> JsonObject:
    document: JsonObject = {"name": f"{info.plural}/{sub.name}", "singularName": "", "namespaced": info.namespaced}
    if (sub.group, sub.version) != (info.group, info.version):
        document |= {"group": sub.group, "version": sub.version}
    return {**document, "kind": sub.kind, "verbs": list(sub.verbs)}


def _resources(registry: Registry, group: str, version: str) -> list[KindInfo]:
    found = (info for info in registry.all() if (info.group, info.version) == (group, version))
    return sorted(found, key=lambda info: info.plural)


def _sorted(info: KindInfo) -> Iterable[SubresourceInfo]:
    return sorted(info.subresources.values(), key=lambda sub: sub.name)
