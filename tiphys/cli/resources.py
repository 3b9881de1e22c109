"""Which resources the server has, and what the words of a command line mean: po, deploy/web, deployments.v1.apps."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import quote

from tiphys.cli.errors import CommandError
from tiphys.cli.server import Server

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class ResourceType(NamedTuple):
    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    verbs: tuple[str, ...]

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def label(self) -> str:
        """deployment.apps, pod: how kubectl names a kind in `deployment.apps/web created`."""
        return f"{self.singular}.{self.group}" if self.group else self.singular

    def path(self, namespace: str = "", name: str = "") -> str:
        """The collection's path, or the object's; every part quoted."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        middle = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        return f"{root}{middle}/{self.plural}" + (f"/{quote(name, safe='')}" if name else "")


class Resources:
    """The server's resource types; each of its two documents is asked for at most once, and only when needed."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @cached_property
    def _core(self) -> Sequence[ResourceType]:
        return self._read("/api")

    @cached_property
    def _groups(self) -> Sequence[ResourceType]:
        return self._read("/apis")

    def _read(self, path: str) -> Sequence[ResourceType]:
        return [
            _type(group["metadata"].get("name", ""), version["version"], item)
            for group in self._server.get(path, accept=_DISCOVERY)["items"]
            for version in group["versions"]
            for item in version["resources"]
        ]

    def all(self) -> Iterator[ResourceType]:
        """Every type, the core group's first: the order in which a short name is understood."""
        yield from self._core
        yield from self._groups

    def of_kind(self, api_version: str, kind: str) -> ResourceType:
        for resource in self._groups if "/" in api_version else self._core:
            if resource.kind == kind and resource.api_version == api_version:
                return resource
        versions = [resource.api_version for resource in self.all() if resource.kind == kind]
        advice = f"; the server has it in {', '.join(versions)}" if versions else ""
        raise CommandError(f'no matches for kind "{kind}" in version "{api_version}"{advice}')

    def named(self, word: str) -> ResourceType:
        """Resolve pods, pod, po, Pod, deployments.apps, deployments.v1.apps."""
        name, _, rest = word.partition(".")
        wanted = rest.rstrip(".")
        for resource in self.all():
            if not _answers_to(resource, name.lower()):
                continue
            if wanted in ("", resource.group, f"{resource.version}.{resource.group}", resource.version):
                if not wanted and name in resource.short_names:
                    self._warn_of_others(name, resource)
                return resource
        where = f'"{name}" in group "{rest}"' if rest else f'"{word}"'
        raise CommandError(f"the server doesn't have a resource type {where}")

    def _warn_of_others(self, short_name: str, chosen: ResourceType) -> None:
        """As kubectl does when a short name could mean another group's resource as well."""
        others = {f"{one.plural}.{one.group}" for one in self.all() if short_name in one.short_names and one != chosen}
        for other in sorted(others - {f"{chosen.plural}.{chosen.group}"}):
            print(
                f'Warning: short name "{short_name}" could also match lower priority resource {other}', file=sys.stderr
            )

    def category(self, word: str) -> list[ResourceType]:
        """The types of `all`.  A core type's name is no category, which spares `get pods` the second document."""
        if any(_answers_to(resource, word) for resource in self._core):
            return []
        return [resource for resource in self.all() if word in resource.categories and "list" in resource.verbs]


def _type(group: str, version: str, item: dict[str, Any]) -> ResourceType:
    return ResourceType(
        group=group,
        version=version,
        plural=item["resource"],
        singular=item.get("singularResource") or item["responseKind"]["kind"].lower(),
        kind=item["responseKind"]["kind"],
        namespaced=item["scope"] == "Namespaced",
        short_names=tuple(item.get("shortNames", ())),
        categories=tuple(item.get("categories", ())),
        verbs=tuple(item["verbs"]),
    )


def _answers_to(resource: ResourceType, name: str) -> bool:
    return name in (resource.plural, resource.singular, resource.kind.lower(), *resource.short_names)


class Target(NamedTuple):
    """One resource type with the names asked for; no names: all of them."""

    resource: ResourceType
    names: tuple[str, ...]


def targets(resources: Resources, words: Sequence[str]) -> list[Target]:
    """`pods`, `pods a b`, `pods,svc`, `pod/a svc/b`, `all`.  Raises CommandError."""
    if not words:
        raise CommandError("You must specify the type of resource, such as pods, deployments or pod/NAME.")
    if any("/" in word for word in words):
        return _named_targets(resources, words)
    types: list[ResourceType] = []
    for word in words[0].split(","):
        types.extend(resources.category(word) or [resources.named(word)])
    return [Target(resource, tuple(words[1:])) for resource in types]


def _named_targets(resources: Resources, words: Sequence[str]) -> list[Target]:
    """`pod/a svc/b`."""
    found: list[Target] = []
    for word in words:
        kind, separator, name = word.partition("/")
        if not separator:
            raise CommandError(
                "there is no need to specify a resource type as a separate argument when passing arguments in "
                f"resource/name form: {word!r}"
            )
        if "/" in name:
            raise CommandError("arguments in resource/name form may not have more than one slash")
        if not kind or not name:
            raise CommandError("arguments in resource/name form must have a single resource and name")
        found.append(Target(resources.named(kind), (name,)))
    return found
