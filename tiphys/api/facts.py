"""The facts of a field: its wire form, and what Python's types cannot say about it.

Declarations import these names from `tiphys.api.declaration`.
"""

from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

from tiphys.api.schema import Anything, Scalar, Type


class Wire:
    """How a Python type looks on the wire where it is not what JSON says: a scalar's format, or any value at all."""

    __slots__ = ("node", "proto", "zero")

    def __init__(self, node: Type, proto: str, *, zero: Any = None) -> None:
        self.node = node
        self.proto = proto  # as seen from another package; a leading dot as reference tables spell it
        self.zero = zero  # what Go writes for a zero value that is a struct, which omitempty never omits


_META = ".k8s.io.apimachinery.pkg.apis.meta.v1."

Int32 = Annotated[int, Wire(Scalar("integer", "int32", "int32"), "int32")]
Int64 = Annotated[int, Wire(Scalar("integer", "int64", "int64"), "int64")]
Bytes = Annotated[str, Wire(Scalar("string", "byte", "[]uint8"), "bytes")]
"""base64 text"""
Time = Annotated[str, Wire(Scalar("string", "date-time", "Time"), _META + "Time")]
MicroTime = Annotated[str, Wire(Scalar("string", "micro-time", "MicroTime"), _META + "MicroTime")]
Quantity = Annotated[
    str, Wire(Scalar("string", "quantity", "Quantity"), ".k8s.io.apimachinery.pkg.api.resource.Quantity", zero="0")
]
IntOrString = Annotated[
    int | str,
    Wire(Scalar("string", "int-or-string", "IntOrString"), ".k8s.io.apimachinery.pkg.util.intstr.IntOrString", zero=0),
]
FieldsV1 = Annotated[
    dict[str, Any], Wire(Anything("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", "object"), _META + "FieldsV1")
]
RawExtension = Annotated[
    Any,
    Wire(
        Anything("io.k8s.apimachinery.pkg.runtime.RawExtension", "object"),
        ".k8s.io.apimachinery.pkg.runtime.RawExtension",
    ),
]
JSON = Annotated[Any, Wire(Anything(), "JSON")]


class At:
    """The facts of one field.  Everything not said here follows from the Python type.

    `tag` is the protobuf field number.  `always` (default: `required`) says Go writes the field even when it is zero;
    such a scalar also publishes its zero as the OpenAPI default.  `keys` make a list a map list, `merge` is the
    strategic merge key (with `patch` "merge" unless said otherwise).
    """

    __slots__ = (
        "always",
        "atomic",
        "default",
        "description",
        "enum",
        "keys",
        "list_type",
        "merge",
        "omit_zero",
        "patch",
        "proto",
        "required",
        "tag",
        "wire_name",
    )

    def __init__(
        self,
        tag: int = 0,
        description: str = "",
        *,
        required: bool = False,
        always: bool | None = None,
        default: Any = None,
        enum: tuple[str, ...] = (),
        list_type: str = "atomic",
        keys: tuple[str, ...] = (),
        merge: str = "",
        patch: str = "",
        atomic: bool = False,
        omit_zero: bool = False,
        proto: str = "",
        wire_name: str = "",
    ) -> None:
        self.tag = tag
        self.description = description
        self.required = required
        self.always = required if always is None else always
        self.default = default
        self.enum = enum
        self.list_type = "map" if keys else list_type
        self.keys = keys
        self.merge = merge
        self.patch = patch or ("merge" if merge else "")
        self.atomic = atomic
        self.omit_zero = omit_zero
        self.proto = proto
        self.wire_name = wire_name


def wire_name(attribute: str, facts: At) -> str:
    return facts.wire_name or attribute.rstrip("_")


NO_FACTS = At()


def read_hint(hint: Any) -> tuple[Any, At, Wire | None, bool]:
    """(bare type, facts, wire form, is a pointer)"""
    facts, wire, optional = NO_FACTS, None, False
    while True:
        if get_origin(hint) is Annotated:
            hint, *extras = get_args(hint)
            for extra in extras:
                if isinstance(extra, At):
                    facts = extra
                elif isinstance(extra, Wire):
                    wire = wire or extra
        elif get_origin(hint) in (Union, UnionType) and type(None) in get_args(hint):
            optional = True
            rest = [member for member in get_args(hint) if member is not type(None)]
            if len(rest) > 1:  # int | str | None, which Python flattens out of `IntOrString | None`
                return IntOrString, facts, wire or _wire_of(IntOrString), optional
            hint = rest[0]
        else:
            return hint, facts, wire, optional


def _wire_of(alias: Any) -> Wire:
    return cast(Wire, get_args(alias)[1])
