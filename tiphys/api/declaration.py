"""How the types of the API are declared, and how a declaration becomes a graph of `tiphys.api.schema` nodes.

A type is a frozen pydantic model; the facts Python's types cannot say stand in `Annotated[..., At(...)]`:

    class ContainerPort(Model, name="io.k8s.api.core.v1.ContainerPort"):
        hostPort: Annotated[Int32, At(2)] = 0                      # Go value with omitempty: zero is left out
        containerPort: Annotated[Int32, At(3, required=True)] = 0  # no omitempty: zero is written
        hostIP: Annotated[str | None, At(5)] = None                # Go pointer: absent differs from zero

What must stay true: declaring is cheap (pydantic builds validators, and this module builds nodes, on first use only),
and a model never changes, so the default instance of a struct-valued field is shared by everyone.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic import Field as PydanticField
from pydantic._internal._model_construction import ModelMetaclass

from tiphys.api.empties import EMPTY_DICT, EMPTY_LIST
from tiphys.api.facts import (
    JSON,
    NO_FACTS,
    At,
    Bytes,
    FieldsV1,
    Int32,
    Int64,
    IntOrString,
    MicroTime,
    Quantity,
    RawExtension,
    Time,
    Wire,
    read_hint,
    wire_name,
)
from tiphys.api.schema import Anything, Field, ListOf, MapOf, Scalar, Struct, Type

__all__ = [
    "JSON",
    "At",
    "Bytes",
    "FieldsV1",
    "Int32",
    "Int64",
    "IntOrString",
    "MicroTime",
    "Model",
    "Object",
    "Quantity",
    "RawExtension",
    "Time",
    "alias",
    "copy_json",
    "default",
    "defaults_of",
    "sets_defaults",
    "struct_of",
    "zero_of",
]

M = TypeVar("M", bound="Model")


class _ModelType(ModelMetaclass):
    """Replaces `= []` and `= {}` by the shared empties: a pod has forty of them."""

    def __new__(mcs, class_name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> Any:
        for attribute in namespace.get("__annotations__", ()):
            value = namespace.get(attribute)
            if type(value) is list and not value:
                namespace[attribute] = EMPTY_LIST
            elif type(value) is dict and not value:
                namespace[attribute] = EMPTY_DICT
        return super().__new__(mcs, class_name, bases, namespace, **kwargs)


class Model(BaseModel, metaclass=_ModelType):
    """A declared type.  Class arguments: `name`, the OpenAPI definition's name; `atomic`; `retain_keys`;
    `inlined`, the protobuf field number under which the fields of the base class travel."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", defer_build=True, protected_namespaces=(), populate_by_name=True
    )

    definition: ClassVar[str] = ""
    is_atomic: ClassVar[bool] = False
    keeps_one_of: ClassVar[bool] = False
    inlined_at: ClassVar[int] = 0

    def __init_subclass__(
        cls, *, name: str = "", atomic: bool = False, retain_keys: bool = False, inlined: int = 0, **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls.definition = name
        cls.is_atomic = atomic
        cls.keeps_one_of = retain_keys
        cls.inlined_at = inlined

    def to_dict(self) -> dict[str, Any]:
        """The wire form as a new dict: zero omitempty values dropped, pointers and always-written fields kept."""
        plan = _write_plans.get(type(self))
        if plan is None:
            plan = _write_plans[type(self)] = _write_plan(type(self))
        values = self.__dict__
        out: dict[str, Any] = {}
        for attribute, name, keep, write in plan:
            value = values[attribute]
            if value or (keep is not None and keep(value)):
                out[name] = value if write is None else write(value)
        return out


class Object(Model):
    """A top-level object.  Every kind narrows `apiVersion` and `kind` to its own and declares `metadata`."""

    apiVersion: str = ""
    kind: str = ""


def alias(name: str) -> Any:
    """For a field whose wire name is a Python keyword: `continue_: Annotated[str, At(3), alias("continue")]`."""
    return PydanticField(alias=name)


def default(model: type[M]) -> M:
    """The default of a struct-valued field: one shared instance, made on first use."""
    shared: list[M] = []

    def instance() -> M:
        if not shared:
            shared.append(model())
        return shared[0]

    return PydanticField(default_factory=instance)


# --- to the wire ------------------------------------------------------------------------------------------------------

_Keep = Callable[[Any], bool]
_Write = Callable[[Any], Any]
NULL_IS_EMPTY = BeforeValidator(lambda value: [] if value is None else value)
"""For a list that Go always writes: null where it is empty."""

_write_plans: dict[type[Model], list[tuple[str, str, _Keep | None, _Write | None]]] = {}


def _write_plan(model: type[Model]) -> list[tuple[str, str, _Keep | None, _Write | None]]:
    plan = []
    for attribute, hint in _hints(model).items():
        inner, facts, wire, optional = read_hint(hint)
        keep: _Keep | None = None
        if facts.always or (wire is not None and wire.zero is not None and not optional):
            keep = _always
        elif optional or (wire is not None and isinstance(wire.node, Anything)):
            keep = _not_none
        plan.append((attribute, wire_name(attribute, facts), keep, _writer(inner, facts, wire)))
    return plan


def _always(_: Any) -> bool:
    return True


def _not_none(value: Any) -> bool:
    return value is not None


def _writer(hint: Any, facts: At, wire: Wire | None) -> _Write | None:
    if wire is not None:
        if isinstance(wire.node, Anything):
            return copy_json
        zero = wire.zero
        return None if zero is None else lambda value: zero if value == "" else value
    origin = get_origin(hint)
    if origin in (list, dict):
        plain = _plain_writer(hint)
        if facts.always and origin is list:
            return lambda value: plain(value) if value else None
        return plain
    if isinstance(hint, type) and issubclass(hint, Model):
        return lambda value: None if value is None else value.to_dict()
    return None


def _plain_writer(hint: Any) -> _Write:
    """Writes a list or a map; its items are never omitted."""
    origin = get_origin(hint)
    item = get_args(hint)[-1]
    inner, _, wire, _ = read_hint(item)
    if get_origin(inner) in (list, dict) and wire is None:
        write = _plain_writer(inner)
    elif isinstance(inner, type) and issubclass(inner, Model):
        write = _write_model
    elif wire is not None and isinstance(wire.node, Anything):
        write = copy_json
    else:
        return list if origin is list else dict
    if origin is list:
        return lambda value: [write(member) for member in value]
    return lambda value: {key: write(member) for key, member in value.items()}


def _write_model(value: Model) -> dict[str, Any]:
    return value.to_dict()


def copy_json(value: Any) -> Any:
    """A deep copy of a JSON value."""
    if isinstance(value, dict):
        return {key: copy_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_json(item) for item in value]
    return value


# --- to schema nodes --------------------------------------------------------------------------------------------------

_structs: dict[type[Model], Struct] = {}
_set_defaults: dict[str, Callable[[dict[str, Any]], None]] = {}


def sets_defaults(definition: str) -> Callable[[Callable[[dict[str, Any]], None]], Callable[[dict[str, Any]], None]]:
    """Marks a function as upstream's SetDefaults_X for the type of that OpenAPI name."""

    def register(function: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
        _set_defaults[definition] = function
        return function

    return register


def defaults_of(definition: str) -> Callable[[dict[str, Any]], None] | None:
    return _set_defaults.get(definition)


def struct_of(model: type[Model]) -> Struct:
    """The node of a model; always the same one."""
    struct = _structs.get(model)
    if struct is None:
        struct = _structs[model] = Struct(
            name=model.definition,
            load_fields=lambda: _fields(model),
            description=" ".join((model.__dict__.get("__doc__") or "").split()),
            atomic=model.is_atomic,
            union="retainKeys" if model.keeps_one_of else "",
            inlined=(model.inlined_at, struct_of(model.__mro__[1])) if model.inlined_at else None,
        )
    return struct


def _hints(model: type[Model]) -> dict[str, Any]:
    hints = get_type_hints(model, include_extras=True)
    return {name: hint for name, hint in hints.items() if name in model.model_fields}


def _fields(model: type[Model]) -> Mapping[str, Field]:
    inlined = set(_hints(model.__mro__[1])) if model.inlined_at else set()
    fields = {}
    for attribute, hint in _hints(model).items():
        field = _field(model, attribute, hint, is_inlined=attribute in inlined)
        fields[field.name] = field
    return fields


def _field(model: type[Model], attribute: str, hint: Any, *, is_inlined: bool) -> Field:
    inner, facts, wire, optional = read_hint(hint)
    node = _node(inner, facts, wire)
    if facts.patch and isinstance(node, Struct):
        node = replace(node, union=facts.patch)  # how this field is patched, wherever else the type is used
    zero = None if optional else _zero(node, facts, wire)
    published = facts.default
    if published is None and facts.always and isinstance(node, Scalar) and node.format in ("", "int32", "int64"):
        published = zero
    return Field(
        name=wire_name(attribute, facts),
        type=node,
        required=facts.required,
        pointer=optional,
        zero=zero,
        default=published,
        enum=facts.enum,
        tag=0 if is_inlined else facts.tag,
        proto=facts.proto or (_proto(model, inner, wire) if facts.tag and not is_inlined else ""),
        description=facts.description,
        null_zero=facts.always and (optional or isinstance(node, ListOf | MapOf)),
    )


def _zero(node: Type, facts: At, wire: Wire | None) -> Any:
    if isinstance(node, Struct):
        return None if facts.omit_zero else {}
    if wire is not None and wire.zero is not None:
        return wire.zero
    if not facts.always or not isinstance(node, Scalar):
        return None
    return {"string": "", "integer": 0, "number": 0.0, "boolean": False}[node.type]


_PLAIN: dict[Any, Scalar] = {
    str: Scalar("string"),
    int: Scalar("integer", "int64", "int64"),
    float: Scalar("number", "double", "float64"),
    bool: Scalar("boolean", go_type="bool"),
}


def _node(hint: Any, facts: At, wire: Wire | None) -> Type:
    if wire is not None:
        return wire.node
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin = get_origin(hint)
    if origin is list:
        inner, _, item_wire, _ = read_hint(get_args(hint)[0])
        return ListOf(_node(inner, NO_FACTS, item_wire), facts.list_type, facts.keys, facts.patch, facts.merge)
    if origin is dict:
        inner, _, item_wire, _ = read_hint(get_args(hint)[1])
        return MapOf(_node(inner, NO_FACTS, item_wire), facts.atomic)
    if isinstance(hint, type) and issubclass(hint, Model):
        return struct_of(hint)
    if hint is Any:
        return Anything()
    raise TypeError(f"no wire form for {hint!r}")


def _proto(model: type[Model], hint: Any, wire: Wire | None) -> str:
    """The protobuf type in the spelling of protobuf files: a name of the own package is bare."""
    package = ".k8s." + model.definition.removeprefix("io.k8s.").rpartition(".")[0]
    return _proto_type(hint, wire, package.replace(".k8s.", ".k8s.io.", 1))


def _proto_type(hint: Any, wire: Wire | None, package: str) -> str:
    if wire is not None:
        return wire.proto.removeprefix(package + ".") if wire.proto.rpartition(".")[0] == package else wire.proto
    if hint in _PLAIN:
        return {str: "string", int: "int64", float: "double", bool: "bool"}[hint]
    origin = get_origin(hint)
    if origin in (list, dict):
        inner, _, item_wire, _ = read_hint(get_args(hint)[-1])
        item = _proto_type(inner, item_wire, package)
        return f"repeated {item}" if origin is list else f"map<string, {item}>"
    full: str = ".k8s.io." + hint.definition.removeprefix("io.k8s.")
    return full.removeprefix(package + ".") if full.rpartition(".")[0] == package else full


def zero_of(struct: Struct) -> dict[str, Any]:
    """What Go writes for an empty value of the struct."""
    out: dict[str, Any] = {}
    for field in struct.fields.values():
        if isinstance(field.type, Struct) and field.zero is not None:
            out[field.name] = zero_of(field.type)
        elif field.zero is not None:
            out[field.name] = copy.copy(field.zero)
        elif field.null_zero:
            out[field.name] = None
    return out
