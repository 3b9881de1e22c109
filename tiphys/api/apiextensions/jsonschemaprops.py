"""JSONSchemaProps: the schema of a custom resource, as its author writes it.

The type contains itself in three disguises that JSON Schema allows: a schema or a list of them, a schema or a bool, a
schema or a list of names.  Those are values of any shape to the wire, but a schema inside is still read as one.
"""

from typing import Annotated, Any

from tiphys.api.declaration import JSON, At, Model, alias, struct_of
from tiphys.api.facts import Wire
from tiphys.api.schema import Anything, Struct

_PACKAGE = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."


def _schema_inside() -> Struct:
    return struct_of(JSONSchemaProps)


def _any(name: str, *, schema_inside: bool = False) -> Wire:
    return Wire(Anything(_PACKAGE + name, inside=_schema_inside if schema_inside else None), name)


JSONValue = Annotated[Any, _any("JSON")]
SchemaOrArray = Annotated[Any, _any("JSONSchemaPropsOrArray", schema_inside=True)]
SchemaOrBool = Annotated[Any, _any("JSONSchemaPropsOrBool", schema_inside=True)]
SchemaOrStrings = Annotated[Any, _any("JSONSchemaPropsOrStringArray", schema_inside=True)]


class ExternalDocumentation(Model, name=_PACKAGE + "ExternalDocumentation"):
    """Where more is written about a field."""

    description: Annotated[str, At(1)] = ""
    url: Annotated[str, At(2)] = ""


class ValidationRule(Model, name=_PACKAGE + "ValidationRule"):
    """A CEL expression that must hold."""

    rule: Annotated[str, At(1, "The expression; self is the value, oldSelf the one before.", required=True)] = ""
    message: Annotated[str, At(2, "What is said when the rule does not hold.")] = ""
    messageExpression: Annotated[str, At(3, "The same as an expression.")] = ""
    reason: Annotated[
        str | None,
        At(4, enum=("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")),
    ] = None
    fieldPath: Annotated[str, At(5, "The field the failure is reported at.")] = ""
    optionalOldSelf: Annotated[bool | None, At(6, "The rule also runs where there is no old value.")] = None


class JSONSchemaProps(Model, name=_PACKAGE + "JSONSchemaProps"):
    """What a value may look like: OpenAPI v3's subset of JSON Schema with Kubernetes' extensions."""

    id: Annotated[str, At(1)] = ""
    schema_: Annotated[str, At(2, wire_name="$schema"), alias("$schema")] = ""
    ref: Annotated[str | None, At(3, wire_name="$ref"), alias("$ref")] = None
    description: Annotated[str, At(4)] = ""
    type: Annotated[str, At(5)] = ""
    format: Annotated[str, At(6)] = ""
    title: Annotated[str, At(7)] = ""
    default: Annotated[JSONValue | None, At(8)] = None
    maximum: Annotated[float | None, At(9)] = None
    exclusiveMaximum: Annotated[bool, At(10)] = False
    minimum: Annotated[float | None, At(11)] = None
    exclusiveMinimum: Annotated[bool, At(12)] = False
    maxLength: Annotated[int | None, At(13)] = None
    minLength: Annotated[int | None, At(14)] = None
    pattern: Annotated[str, At(15)] = ""
    maxItems: Annotated[int | None, At(16)] = None
    minItems: Annotated[int | None, At(17)] = None
    uniqueItems: Annotated[bool, At(18)] = False
    multipleOf: Annotated[float | None, At(19)] = None
    enum: Annotated[list[JSONValue], At(20)] = []
    maxProperties: Annotated[int | None, At(21)] = None
    minProperties: Annotated[int | None, At(22)] = None
    required: Annotated[list[str], At(23)] = []
    items: Annotated[SchemaOrArray | None, At(24)] = None
    allOf: Annotated[list["JSONSchemaProps"], At(25)] = []
    oneOf: Annotated[list["JSONSchemaProps"], At(26)] = []
    anyOf: Annotated[list["JSONSchemaProps"], At(27)] = []
    not_: Annotated["JSONSchemaProps | None", At(28), alias("not")] = None
    properties: Annotated[dict[str, "JSONSchemaProps"], At(29)] = {}
    additionalProperties: Annotated[SchemaOrBool | None, At(30)] = None
    patternProperties: Annotated[dict[str, "JSONSchemaProps"], At(31)] = {}
    dependencies: Annotated[dict[str, SchemaOrStrings], At(32)] = {}
    additionalItems: Annotated[SchemaOrBool | None, At(33)] = None
    definitions: Annotated[dict[str, "JSONSchemaProps"], At(34)] = {}
    externalDocs: Annotated[ExternalDocumentation | None, At(35)] = None
    example: Annotated[JSONValue | None, At(36)] = None
    nullable: Annotated[bool, At(37)] = False
    preserve_unknown: Annotated[
        bool | None,
        At(38, wire_name="x-kubernetes-preserve-unknown-fields"),
        alias("x-kubernetes-preserve-unknown-fields"),
    ] = None
    embedded_resource: Annotated[
        bool, At(39, wire_name="x-kubernetes-embedded-resource"), alias("x-kubernetes-embedded-resource")
    ] = False
    int_or_string: Annotated[
        bool, At(40, wire_name="x-kubernetes-int-or-string"), alias("x-kubernetes-int-or-string")
    ] = False
    list_map_keys: Annotated[
        list[str], At(41, wire_name="x-kubernetes-list-map-keys"), alias("x-kubernetes-list-map-keys")
    ] = []
    list_type: Annotated[str | None, At(42, wire_name="x-kubernetes-list-type"), alias("x-kubernetes-list-type")] = None
    map_type: Annotated[str | None, At(43, wire_name="x-kubernetes-map-type"), alias("x-kubernetes-map-type")] = None
    validations: Annotated[
        list[ValidationRule],
        At(44, wire_name="x-kubernetes-validations", keys=("rule",), merge="rule"),
        alias("x-kubernetes-validations"),
    ] = []


__all__ = ["JSON", "ExternalDocumentation", "JSONSchemaProps", "ValidationRule"]
