"""The object in a request body: JSON, YAML or protobuf, checked against the kind the URL names.

What must stay true: whatever the media type, the object takes the same strict decoding afterwards, and unknown or
repeated fields are reported as `fieldValidation` asks: an error, warnings, or silence.
"""

from __future__ import annotations

from typing import Any

from apiserver.negotiation import JSON, PROTOBUF, body_type
from apiserver.registry.options import WriteOptions
from apiserver.request import Request
from tiphys.api.decode import decode, strict_error
from tiphys.api.defaults import apply_defaults
from tiphys.api.json_body import load_json
from tiphys.api.kinds import KindInfo, Registry
from tiphys.api.protobuf import decode_protobuf
from tiphys.api.schema import Struct
from tiphys.api.status import StatusError, bad_request
from tiphys.api.yaml import Limits, YamlError, load_documents

# YAML costs the one loop that serves everybody a hundred times what JSON costs: at most a third of a second.
YAML_LIMITS = Limits(size_bytes=1024 * 1024, documents=1000, nodes=30_000, pieces=200_000, flow_depth=20)
_INTERNAL_PACKAGES = {"": "core", "rbac.authorization.k8s.io": "rbac", "events.k8s.io": "core"}


async def read_value(
    request: Request, registry: Registry, *, duplicates: bool = False, label: str = "", schema: Struct | None = None
) -> tuple[Any, list[str]]:
    """The body as a value and texts about repeated fields.  Raises 400, 413, 415."""
    media_type = body_type(request.headers.get("Content-Type", ""))
    body = await request.read_body()
    if media_type == PROTOBUF:
        return decode_protobuf(body, registry, schema=schema), []
    if media_type == JSON:
        return load_json(body, find_duplicates=duplicates, kind_label=label)
    return load_yaml(body)


def load_yaml(body: bytes) -> tuple[Any, list[str]]:
    """The first document of a YAML body and texts about repeated keys.  Raises 400."""
    duplicates: list[str] = []
    try:
        for document in load_documents(body, duplicates=duplicates, limits=YAML_LIMITS):
            return document.value, duplicates
    except YamlError as error:
        raise bad_request(f"error converting YAML to JSON: {error}") from None
    return None, duplicates


async def read_object(request: Request, info: KindInfo, registry: Registry, options: WriteOptions) -> dict[str, Any]:
    """The decoded and defaulted object of a create or update."""
    strict = options.field_validation != "Ignore"
    value, problems = await read_value(request, registry, duplicates=strict, label=info.kind)
    is_json = body_type(request.headers.get("Content-Type", "")) == JSON
    return finish_object(request, value, problems, info, registry, options, unknown_first=is_json)


def finish_object(
    request: Request,
    value: Any,
    problems: list[str],
    info: KindInfo,
    registry: Registry,
    options: WriteOptions,
    *,
    unknown_first: bool = False,
) -> dict[str, Any]:
    """Check kind and version, decode along the schema, report unknown fields, fill in defaults."""
    check_kind(value, info, registry)
    decoded = decode(value, info.schema, kind_label=info.kind, version=info.version)
    problems = decoded.unknown + problems if unknown_first else problems + decoded.unknown
    if problems and options.field_validation == "Strict":
        raise strict_error(problems, kind_label=info.kind, version=info.version)
    if problems and options.field_validation == "Warn":
        for problem in problems:
            request.warn(problem)
    obj = decoded.value
    obj["kind"], obj["apiVersion"] = info.kind, info.api_version
    obj.setdefault("metadata", {})
    apply_defaults(obj, info.schema)
    return obj


def check_kind(value: Any, info: KindInfo, registry: Registry) -> None:
    """The body must be of the URL's kind; missing kind and apiVersion are the URL's."""
    if not isinstance(value, dict):
        raise bad_request(
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {_word(value)} into Go value of type "
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
    kind, api_version = value.get("kind") or info.kind, value.get("apiVersion") or info.api_version
    if not isinstance(kind, str) or not isinstance(api_version, str):
        raise bad_request("couldn't get version/kind; json parse error: kind and apiVersion must be strings")
    if kind == info.kind and api_version == info.api_version:
        return
    raise wrong_kind(kind, api_version, info, registry)


def wrong_kind(kind: str, api_version: str, info: KindInfo, registry: Registry) -> StatusError:
    group, _, version = api_version.rpartition("/")
    prefix = f'{kind} in version "{version}" cannot be handled as a {info.kind}: '
    if registry.by_kind(group, version, kind) is None:
        known = any(one.group == group and one.version == version for one in registry.all())
        if kind == info.kind and known:
            return bad_request(_version_mismatch(api_version, info))
        scheme = 'in scheme "pkg/api/legacyscheme/scheme.go:30"'
        return bad_request(f'{prefix}no kind "{kind}" is registered for version "{api_version}" {scheme}')
    if kind == info.kind and group == info.group:
        return bad_request(_version_mismatch(api_version, info))
    package = _INTERNAL_PACKAGES.get(info.group, info.group.partition(".")[0])
    return bad_request(f"{prefix}converting ({version}.{kind}) to ({package}.{info.kind}): unknown conversion")


def _version_mismatch(api_version: str, info: KindInfo) -> str:
    return f"the API version in the data ({api_version}) does not match the expected API version ({info.api_version})"


def _word(value: Any) -> str:
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "bool" if isinstance(value, bool) else "number"


async def read_part(
    request: Request, schema: Struct, kind: str, version: str, registry: Registry, options: WriteOptions | None = None
) -> dict[str, Any]:
    """The body of a subresource that has a kind of its own (Scale, Binding, Eviction, TokenRequest).  Raises 400."""
    value, problems = await read_value(request, registry, duplicates=True, label=kind, schema=schema)
    if not isinstance(value, dict):
        raise bad_request(f"the body must be a {kind}")
    found = value.get("kind") or kind
    if found != kind:
        raise bad_request(
            f'{found} in version "{version}" cannot be handled as a {kind}: no kind "{found}" is registered'
        )
    decoded = decode(value, schema, kind_label=kind, version=version)
    problems = problems + decoded.unknown
    if problems and options is not None and options.field_validation == "Strict":
        raise strict_error(problems, kind_label=kind, version=version)
    apply_defaults(decoded.value, schema)
    return decoded.value
