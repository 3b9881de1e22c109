"""The CEL library behind two functions: `check` a rule against the types of a schema, and `program` to run it.

Checking and running are two environments.  A rule is checked with messages made from the schema, so a wrong field or a
wrong type is found when the definition is created; it runs on plain JSON values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
MADE_MAP_LIMIT = 500  # entries
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
    return _Environment(_running_pool(), variables, _extensions(True))


_TWO_VARIABLES = "name: tiphys\nextensions:\n- name: two-var-comprehensions\n  version: latest\n"


class _Environment:
    """With the macros of two variables, which the library has by configuration only.

    Of these, the ones that make maps compile there but have no function to run: an environment with ours runs them.
    """

    def __init__(self, pool: Any, variables: Mapping[str, Any], extensions: Sequence[Any]) -> None:
        self._given = {"descriptor_pool": pool, "variables": variables}
        self._extensions = extensions
        config = cel.NewEnvConfigFromYaml(_TWO_VARIABLES)
        self._checking = cel.NewEnv(**self._given, config=config, extensions=extensions)
        self._maps: Any = None

    def compile(self, expression: str) -> Any:
        """Raises what the library raises."""
        return self._checking.compile(expression)

    def runnable(self, compiled: Any, expression: str) -> Any:
        """What `compile` gave, fit to be evaluated."""
        if "transformMap" not in expression:
            return compiled
        if self._maps is None:
            self._maps = cel.NewEnv(**self._given, extensions=[*self._extensions, _map_functions()])
        return self._maps.deserialize(compiled.serialize())


@cache
def _map_functions() -> Any:
    kind, any_kind = cel.Type.MAP, cel.Type.DYN
    one = cel.Overload("tiphys_map_insert", kind, [kind, any_kind, any_kind], False, lambda m, k, v: _merged(m, {k: v}))
    other = cel.Overload("tiphys_map_merge", kind, [kind, kind], False, _merged)
    return cel.CelExtension("maps", [cel.FunctionDecl("cel.@mapInsert", [one, other])])


def _merged(found: dict[Any, Any], more: Mapping[Any, Any]) -> dict[Any, Any]:
    """The library copies the whole map for every entry: a large one would take seconds."""
    if len(found) >= MADE_MAP_LIMIT:
        raise ValueError(f"a macro makes maps of at most {MADE_MAP_LIMIT} entries")
    return {**found, **more}


class Checker:
    """Checks rules about one place of a schema; `self_type` is a type's signature, `pool` has its messages."""

    def __init__(self, pool: Any, self_type: str) -> None:
        kind = cel.Type(self_type) if self_type != "dyn" else cel.Type.DYN
        variables = {"self": kind, "oldSelf": kind}
        self._plain = _Environment(pool, variables, _extensions(False))
        optional = {"self": kind, OLD: kind, HAS_OLD: cel.Type.BOOL}
        self._optional = _Environment(pool, optional, _extensions(False))

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
            self._compiled = _running().runnable(_running().compile(source), source)
        except (RuntimeError, ValueError, TypeError) as error:
            raise CompileError(f"compilation failed: {error}") from None

    def run(self, value: Any, old: Any, *, has_old: bool) -> Any:
        """Raises EvaluationError."""
        data: Mapping[str, Any] = {"self": value, "oldSelf": old}
        if self._optional_old:
            data = {"self": value, OLD: old, HAS_OLD: has_old}
        return _evaluate(self._compiled, data)


def _evaluate(compiled: Any, data: Mapping[str, Any]) -> Any:
    """The result as a plain value.  Raises EvaluationError."""
    try:
        found = compiled.eval(data=data)
        if found.type() == cel.Type.ERROR:
            raise EvaluationError(_error_text(str(found.value())))
        return found.plain_value()
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, EvaluationError):
            raise
        over = "budget exceeded" in str(error)
        text = "operation cancelled: actual cost limit exceeded" if over else _error_text(str(error))
        raise EvaluationError(text, over_budget=over) from None


class Expression:
    """An expression over variables of any type, such as an admission policy's; compiled once, run often."""

    def __init__(self, expression: str, variables: Sequence[str], wanted: Sequence[str] = ()) -> None:
        """`wanted`: names of result types that will do ("" or none given: any).  Raises CompileError."""
        if len(expression) > EXPRESSION_LIMIT:
            raise CompileError(f"expression is longer than {EXPRESSION_LIMIT} characters")
        if not available():
            raise CompileError(MISSING)
        try:
            environment = _environment(tuple(variables))
            self._compiled = environment.compile(expression)
        except (RuntimeError, ValueError, TypeError) as error:
            raise CompileError(f"compilation failed: {_readable(str(error), expression, 0)}") from None
        found = self._compiled.return_type().name()
        if wanted and found not in (*wanted, "DYN"):
            raise CompileError(f"must evaluate to {' or '.join(one.lower() for one in wanted)}")
        self._compiled = environment.runnable(self._compiled, expression)

    def run(self, data: Mapping[str, Any]) -> Any:
        """`data`: a value for each variable the expression uses.  Raises EvaluationError."""
        return _evaluate(self._compiled, data)


@cache
def _environment(variables: tuple[str, ...]) -> Any:
    from tiphys.api.customresource.cel.admission import extension

    kinds = dict.fromkeys(variables, cel.Type.DYN)
    extensions = [*_extensions(True), extension()]
    return _Environment(_running_pool(), kinds, extensions)


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
