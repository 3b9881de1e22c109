"""The environment of a container: literal values, and where the others come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiphys.api.quantity import milli, value


def environment_lines(container: Mapping[str, Any], pod: Mapping[str, Any] | None) -> Iterator[str]:
    """`pod`: the pod whose fields are shown as values; None in a template."""
    sources = container.get("envFrom") or []
    if sources:
        yield "Environment Variables from:"
    for source in sources:
        kind, field = ("ConfigMap", "configMapRef") if "configMapRef" in source else ("Secret", "secretRef")
        reference = source.get(field) or {}
        prefix = f" with prefix '{source['prefix']}'" if source.get("prefix") else ""
        yield f"  {reference.get('name', '')}\t{kind}{prefix}\tOptional: {_flag(reference)}"
    variables = container.get("env") or []
    yield "Environment:" if variables else "Environment:\t<none>"
    for item in variables:
        first, *rest = _variable(item, container, pod).split("\n")
        yield f"  {item['name']}:\t{first}"
        yield from (f"  \t{line}" for line in rest)


def _flag(reference: Mapping[str, Any]) -> str:
    return "true" if reference.get("optional") else "false"


def _variable(item: Mapping[str, Any], container: Mapping[str, Any], pod: Mapping[str, Any] | None) -> str:
    source = item.get("valueFrom")
    if not source:
        return str(item.get("value", ""))
    if "fieldRef" in source:
        path = source["fieldRef"]["fieldPath"]
        shown = _field(pod, path) if pod else ""
        return f"{shown} ({source['fieldRef'].get('apiVersion', 'v1')}:{path})"
    if "resourceFieldRef" in source:
        return f"{_resource(source['resourceFieldRef'], container)} ({source['resourceFieldRef']['resource']})"
    if "secretKeyRef" in source:
        reference, words = source["secretKeyRef"], "in secret"
    else:
        reference, words = source.get("configMapKeyRef") or {}, "of config map"
    key, name = reference.get("key", ""), reference.get("name", "")
    return f"<set to the key '{key}' {words} '{name}'>\tOptional: {_flag(reference)}"


def _field(pod: Mapping[str, Any], path: str) -> str:
    """A metadata field or one label or annotation; kubectl knows no others either."""
    metadata = pod["metadata"]
    for prefix, field in (("metadata.labels['", "labels"), ("metadata.annotations['", "annotations")):
        if path.startswith(prefix) and path.endswith("']"):
            return str((metadata.get(field) or {}).get(path[len(prefix) : -2], ""))
    name = path.removeprefix("metadata.")
    return str(metadata.get(name, "")) if name in ("name", "namespace", "uid") else ""


def _resource(reference: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """The amount in units of the divisor, rounded up; 0 where nothing is set."""
    group, _, name = reference["resource"].partition(".")
    amount = ((container.get("resources") or {}).get(group) or {}).get(name, "0")
    divisor = reference.get("divisor") or "1"
    divisor = "1" if divisor == "0" else divisor
    measure = milli if name == "cpu" else value
    return str(-(-measure(amount) // max(measure(divisor), 1)))
