"""The CEL library behind two functions: `check` a rule against the types of a schema, and `program` to run it.

Checking and running are two environments.  A rule is checked with messages made from the schema, so a wrong field or a
wrong type is found when the definition is created; it runs on plain JSON values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

try:
    from cel_expr_python import cel  # type: ignore[import-untyped,import-not-found,unused-ignore]
except ImportError:
    cel = None

MISSING = "CEL rules need the optional extra: pip install 'tiphys[cel]'"
LIBRARY = "tiphys.cel"
LIBRARY_TYPES = ("Quantity", "IP", "CIDR", "URL", "Semver")
EXPRESSION_LIMIT = 16 * 1024
OLD, HAS_OLD = "__old_self", "__has_old_self"
_OPTIONAL_OLD = f"cel.bind(oldSelf, {HAS_OLD} ? optional.of({OLD}) : optional.none(), "


def available() -> bool:
    return cel is not None


class CompileError(ValueError):
    """The text is in upstream's form, with the place in the rule."""


class EvaluationError(ValueError):
    """The rule could not be evaluated; `over_budget` when it ran for too long."""

    def __init__(self, text: str, *, over_budget: bool = False) -> None:
        super().__init__(text)
        self.over_budget = over_budget


def new_pool() -> Any:
    """A descriptor pool with protobuf's well-known types and the types of the function library."""
    from google.protobuf import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        descriptor_pb2,
        descriptor_pool,
        duration_pb2,
        struct_pb2,
        timestamp_pb2,
        wrappers_pb2,
    )

    pool = descriptor_pool.DescriptorPool()
    for module in (struct_pb2, timestamp_pb2, wrappers_pb2, duration_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(name="tiphys/cel.proto", package=LIBRARY, syntax="proto3")
    for name in LIBRARY_TYPES:
        message = file.message_type.add(name=name)
        message.field.add(name="text", number=1, type=descriptor_pb2.FieldDescriptorProto.TYPE_STRING, label=1)
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def library_message(pool: Any, name: str) -> Any:
    from google.protobuf import message_factory  # type: ignore[import-untyped,import-not-found,unused-ignore]

    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{LIBRARY}.{name}"))


@cache
def _extensions(running: bool) -> list[Any]:
    from cel_expr_python.ext import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        ext_bindings,
        ext_encoders,
        ext_math,
        ext_optional,
        ext_strings,
    )

    from tiphys.api.customresource.cel.functions import extension

    builtin = (ext_strings.ExtStrings, ext_math.ExtMath, ext_optional.ExtOptional, ext_bindings.ExtBindings)
    return [*(one() for one in builtin), ext_encoders.ExtEncoders(), extension(_running_pool(), running=running)]


@cache
def _running_pool() -> Any:
    return new_pool()


@cache
def _running() -> Any:
    names = ("self", "oldSelf", OLD)
    variables = {**dict.fromkeys(names, cel.Type.DYN), HAS_OLD: cel.Type.BOOL}
    return cel.NewEnv(descriptor_pool=_running_pool(), variables=variables, extensions=_extensions(True))


class Checker:
    """Checks rules about one place of a schema; `self_type` is a type's signature, `pool` has its messages."""

    def __init__(self, pool: Any, self_type: str) -> None:
        kind = cel.Type(self_type) if self_type != "dyn" else cel.Type.DYN
        variables = {"self": kind, "oldSelf": kind}
        self._plain = cel.NewEnv(descriptor_pool=pool, variables=variables, extensions=_extensions(False))
        optional = {"self": kind, OLD: kind, HAS_OLD: cel.Type.BOOL}
        self._optional = cel.NewEnv(descriptor_pool=pool, variables=optional, extensions=_extensions(False))

    def check(self, expression: str, wanted: str, *, optional_old: bool = False) -> None:
        """`wanted` is BOOL or STRING.  Raises CompileError."""
        if len(expression) > EXPRESSION_LIMIT:
            raise CompileError(f"expression is longer than {EXPRESSION_LIMIT} characters")
        try:
            if optional_old:
                found = self._optional.compile(f"{_OPTIONAL_OLD}{expression}\n)").return_type()
            else:
                found = self._plain.compile(expression).return_type()
        except (RuntimeError, ValueError, TypeError) as error:
            shift = len(_OPTIONAL_OLD) if optional_old else 0
            raise CompileError(f"compilation failed: {_readable(str(error), expression, shift)}") from None
        if found.name() not in (wanted, "DYN"):
            text = "cel expression must evaluate to a bool" if wanted == "BOOL" else "must evaluate to a string"
            raise CompileError(text)


class Program:
    """A rule that has been checked, ready to run."""

    def __init__(self, expression: str, *, optional_old: bool = False) -> None:
        """Raises CompileError."""
        self._optional_old = optional_old
        source = f"{_OPTIONAL_OLD}{expression}\n)" if optional_old else expression
        try:
            self._compiled = _running().compile(source)
        except (RuntimeError, ValueError, TypeError) as error:
            raise CompileError(f"compilation failed: {error}") from None

    def run(self, value: Any, old: Any, *, has_old: bool) -> Any:
        """Raises EvaluationError."""
        data: Mapping[str, Any] = {"self": value, "oldSelf": old}
        if self._optional_old:
            data = {"self": value, OLD: old, HAS_OLD: has_old}
        try:
            found = self._compiled.eval(data=data)
            if found.type() == cel.Type.ERROR:
                raise EvaluationError(_error_text(str(found.value())))
            return found.plain_value()
        except (RuntimeError, ValueError, TypeError, OverflowError) as error:
            if isinstance(error, EvaluationError):
                raise
            over = "budget exceeded" in str(error)
            text = "operation cancelled: actual cost limit exceeded" if over else _error_text(str(error))
            raise EvaluationError(text, over_budget=over) from None


_ERROR_LINE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_STATUS = re.compile(r"\A[A-Z_]+: |\s*\[[A-Z_]+\]\Z")
_WORDS = (
    (re.compile(r"undefined field '([^']*)' not found in struct '[^']*'"), r"undefined field '\1'"),
    (re.compile(r"tiphys\.self\.\w+"), "object"),
    (re.compile(r"tiphys\.cel\.(\w+)"), r"kubernetes.\1"),
)


def _readable(text: str, expression: str, shift: int) -> str:
    """The library's message about the rule alone: without what was put around it, with the words of the schema."""
    lines, shown = expression.split("\n"), []
    for row, column, said in _ERROR_LINE.findall(text):
        place = int(column) - (shift if row == "1" else 0)
        for pattern, replacement in _WORDS:
            said = pattern.sub(replacement, said)
        line = lines[int(row) - 1] if int(row) <= len(lines) else ""
        shown.append(f"ERROR: <input>:{row}:{place}: {said}\n | {line}\n | {'.' * max(0, place - 1)}^")
    return "\n".join(shown) or _STATUS.sub("", text)


_NO_KEY = re.compile(r'Key not found in map : "(.*)"')


def _error_text(text: str) -> str:
    text = _STATUS.sub("", text)
    if match := _NO_KEY.search(text):
        return f"no such key: {match[1]}"
    return "no such overload" if text.startswith("No matching overloads found") else text
