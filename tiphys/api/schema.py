"""The compiled form of a declaration: a small graph of types that every walk follows.

A built-in kind's pydantic models and a CustomResourceDefinition's OpenAPI schema both become these nodes, so decoding,
defaulting, validation, patching, apply, OpenAPI and protobuf are each one walk that never asks which kind it sees.

The graph may be cyclic (JSONSchemaProps contains itself): a `Struct` computes its fields on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True, slots=True)
class Scalar:
    """One JSON value.

    `type` is OpenAPI's: string, integer, number, boolean.  `format` is one of "", "int32", "int64", "double", "byte",
    "date-time" (Time), "micro-time", "quantity", "int-or-string".  `go_type` is the word upstream's decoder
    uses in "cannot unmarshal number into Go struct field ConfigMap.data of type string".
    """

    type: str
    format: str = ""
    go_type: str = "string"


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; the four facts say how a merge treats it."""

    items: Type
    list_type: str = "atomic"  # "atomic", "set" or "map": what server-side apply does
    map_keys: tuple[str, ...] = ()  # the keys of a "map" list
    patch_strategy: str = ""  # "", "merge", "replace", "retainKeys", "merge,retainKeys": what strategic merge does
    patch_merge_key: str = ""  # the one key strategic merge goes by; "" on a merged list of scalars


@dataclass(frozen=True, slots=True)
class MapOf:
    """A JSON object with free keys."""

    values: Type
    atomic: bool = False


@dataclass(frozen=True, slots=True)
class Anything:
    """A value the server keeps as it came: RawExtension, FieldsV1, JSON, x-kubernetes-preserve-unknown-fields."""

    name: str = ""  # the OpenAPI definition's name where it has one
    type: str = ""  # "object" where only an object will do
    inside: Callable[[], Struct] | None = None  # an object here, alone or in a list, is read as this struct


@dataclass(frozen=True, slots=True)
class Field:
    """A named member of a `Struct`."""

    name: str  # as on the wire
    type: Type
    required: bool = False  # OpenAPI's "required"
    pointer: bool = False  # absent and zero are different things; a zero value that was given is kept
    zero: Any = None  # when not None: the encoder writes this for an absent value (Go without omitempty)
    default: Any = None  # the default OpenAPI publishes and the defaulting walk fills in
    enum: tuple[str, ...] = ()
    tag: int = 0  # protobuf field number; 0: not on the protobuf wire
    proto: str = ""  # protobuf type in reference/fields.tsv's spelling
    description: str = ""
    null_zero: bool = False  # the encoder writes null for an absent value (Go without omitempty: nil list, zero Time)


@dataclass(eq=False)
class Struct:
    """A JSON object with known fields.  Compared by identity."""

    name: str  # the OpenAPI definition's name, io.k8s.api.core.v1.PodSpec
    load_fields: Callable[[], Mapping[str, Field]] = field(repr=False)
    description: str = ""
    atomic: bool = False  # server-side apply owns it as a whole (x-kubernetes-map-type: atomic)
    preserve_unknown: bool = False  # CRDs: x-kubernetes-preserve-unknown-fields
    set_defaults: Callable[[dict[str, Any]], None] | None = field(default=None, repr=False)
    inlined: tuple[int, Struct] | None = None  # protobuf: the number and message some fields with tag 0 travel in
    read: Callable[[dict[str, Any]], tuple[dict[str, Any], list[str]]] | None = field(default=None, repr=False)
    """Custom resources: how one is read, in place of `tiphys.api.decode`'s walk; the second are its unknown fields."""
    published: Mapping[str, Any] | None = field(default=None, repr=False)  # custom resources: their OpenAPI text
    union: str = ""  # patchStrategy retainKeys on the struct itself (DeploymentStrategy, Volume)

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        return self.load_fields()

    @property
    def go_name(self) -> str:
        """PodSpec, the last part of the name: what upstream's messages say."""
        return self.name.rpartition(".")[2]


Type = Scalar | ListOf | MapOf | Struct | Anything
