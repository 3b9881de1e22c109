"""Which resources the server has, and what the words of a command line mean: po, deploy/web, deployments.v1.apps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

from tiphys.cli.errors import CommandError
from tiphys.cli.server import Server

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True, slots=True)
class ResourceType:
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
    """The server's resource types, asked for once."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @cached_property
    def all(self) -> Sequence[ResourceType]:
        found: list[ResourceType] = []
        for path in ("/api", "/apis"):
            for group in self._server.get(path, accept=_DISCOVERY)["items"]:
                name = group["metadata"].get("name", "")
                for version in group["versions"]:
                    found.extend(_type(name, version["version"], item) for item in version["resources"])
        return found

    def of_kind(self, api_version: str, kind: str) -> ResourceType:
        for resource in self.all:
            if resource.kind == kind and resource.api_version == api_version:
                return resource
        versions = [resource.api_version for resource in self.all if resource.kind == kind]
        advice = f"; the server has it in {', '.join(versions)}" if versions else ""
        raise CommandError(f'no matches for kind "{kind}" in version "{api_version}"{advice}')

    def named(self, word: str) -> ResourceType:
        """Resolve pods, pod, po, Pod, deployments.apps, deployments.v1.apps."""
        name, _, rest = word.partition(".")
        for resource in self.all:
            if not _answers_to(resource, name.lower()):
                continue
            if rest in ("", resource.group, f"{resource.version}.{resource.group}", resource.version):
                return resource
        raise CommandError(f'the server doesn\'t have a resource type "{word}"')

    def category(self, word: str) -> list[ResourceType]:
        return [resource for resource in self.all if word in resource.categories and "list" in resource.verbs]


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


@dataclass(frozen=True, slots=True)
class Target:
    """One resource type with the names asked for; no names: all of them."""

    resource: ResourceType
    names: tuple[str, ...]


def targets(resources: Resources, words: Sequence[str]) -> list[Target]:
    """`pods`, `pods a b`, `pods,svc`, `pod/a svc/b`, `all`.  Raises CommandError."""
    if not words:
        raise CommandError("you must name a resource type, such as: pods, deployments, or pod/NAME")
    if any("/" in word for word in words):
        found: list[Target] = []
        for word in words:
            kind, separator, name = word.partition("/")
            if not separator or not kind or not name or "/" in name:
                raise CommandError(f"{word!r}: with TYPE/NAME every argument must have that form")
            found.append(Target(resources.named(kind), (name,)))
        return found
    types: list[ResourceType] = []
    for word in words[0].split(","):
        types.extend(resources.category(word) or [resources.named(word)])
    return [Target(resource, tuple(words[1:])) for resource in types]
