"""CustomResourceDefinitions for tests: made with a group of their own, waited for, deleted at the end."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from tests.conformance.api import Api, Object, eventually

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ANYTHING: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True, slots=True)
class CustomResource:
    """A namespaced custom resource; `schemas`: version -> its schema, the first is stored."""

    group: str
    plural: str
    kind: str
    schemas: dict[str, Object]

    @classmethod
    def make(cls, schema: Object | None = None, *versions: str, group: str = "", kind: str = "") -> CustomResource:
        """Names that nothing else has; `versions` ("v1" by default) share the schema."""
        word = uuid.uuid4().hex[:6]
        kind = kind or f"E2e-test-{word}".replace("-", "")
        schemas = dict.fromkeys(versions or ("v1",), schema or ANYTHING)
        return cls(group or f"conformance-{word}.example.com", f"{kind.lower()}s", kind, schemas)

    def with_schemas(self, schemas: dict[str, Object]) -> CustomResource:
        return replace(self, schemas=schemas)

    @property
    def name(self) -> str:
        return f"{self.plural}.{self.group}"

    @property
    def path(self) -> str:
        """Of the definition."""
        return f"{DEFINITIONS}/{self.name}"

    def instances(self, namespace: str = "", version: str = "") -> str:
        """The collection of the custom objects, in the first version by default."""
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"/apis/{self.group}/{version or next(iter(self.schemas))}{scope}/{self.plural}"

    def instance(self, name: str, version: str = "", **rest: Any) -> Object:
        head = {"apiVersion": f"{self.group}/{version or next(iter(self.schemas))}", "kind": self.kind}
        return {**head, "metadata": {"name": name}, **rest}

    def definition(self, labels: dict[str, str] | None = None) -> Object:
        names = {
            "plural": self.plural,
            "singular": self.kind.lower(),
            "kind": self.kind,
            "listKind": f"{self.kind}List",
        }
        versions = [
            {"name": version, "served": True, "storage": number == 0, "schema": {"openAPIV3Schema": schema}}
            for number, (version, schema) in enumerate(self.schemas.items())
        ]
        spec = {"group": self.group, "scope": "Namespaced", "names": names, "versions": versions}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name, "labels": labels or {}},
            "spec": spec,
        }


def install(api: Api, resource: CustomResource, labels: dict[str, str] | None = None) -> None:
    """Create the definition; back when it is Established and every version answers."""
    api.create(DEFINITIONS, resource.definition(labels))
    eventually(lambda: is_established(api.get(resource.path)), f"{resource.name} is Established", 5)
    for version in resource.schemas:
        path = resource.instances(version=version)
        eventually(lambda path=path: api.call("GET", path).status == 200, f"{path} answers")  # type: ignore[misc]


@contextmanager
def installed(api: Api, resource: CustomResource) -> Iterator[CustomResource]:
    install(api, resource)
    try:
        yield resource
    finally:
        api.delete(resource.path)
        api.gone(resource.path)


def is_established(definition: Object) -> bool:
    conditions = definition.get("status", {}).get("conditions") or []
    return any(found["type"] == "Established" and found["status"] == "True" for found in conditions)
