"""What the server serves: every resource with its verbs, from the two aggregated discovery documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tiphys.client.errors import error_of_response
from tiphys.client.resources import PartialObject, Resource, partial_resource
from tiphys.client.rest import Client

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True)
class ServedResource:
    """One resource of the preferred version of its group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def partial(self) -> Resource[PartialObject]:
        """Its metadata-only view."""
        return partial_resource(self.group, self.version, self.plural, self.kind, self.namespaced)

    def can(self, *verbs: str) -> bool:
        return self.verbs.issuperset(verbs)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


async def discover(client: Client) -> Sequence[ServedResource]:
    """All resources, each once, in the server's order.  Raises ApiError, ConnectionFailed."""
    found: list[ServedResource] = []
    for path in ("/api", "/apis"):
        status, headers, body = await client.request("GET", path, headers={"Accept": AGGREGATED})
        if status >= 400:
            raise error_of_response(status, headers, body)
        found += resources_of(orjson.loads(body))
    return found


def resources_of(document: Mapping[str, Any]) -> Iterator[ServedResource]:
    """The resources of an APIGroupDiscoveryList; of several versions of a group the first (preferred) that has it."""
    for item in document.get("items") or []:
        group = (item.get("metadata") or {}).get("name", "")
        seen: set[str] = set()
        for version in item.get("versions") or []:
            for resource in _new(version.get("resources") or [], seen):
                yield ServedResource(
                    group,
                    version["version"],
                    resource["resource"],
                    (resource.get("responseKind") or {}).get("kind", ""),
                    resource.get("scope") == "Namespaced",
                    frozenset(resource.get("verbs") or []),
                )


def _new(resources: Iterable[Mapping[str, Any]], seen: set[str]) -> Iterator[Mapping[str, Any]]:
    for resource in resources:
        if resource["resource"] not in seen:
            seen.add(resource["resource"])
            yield resource
