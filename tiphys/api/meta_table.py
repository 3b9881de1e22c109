"""Other forms of objects a client may ask for: tables, and metadata alone (group meta.k8s.io)."""

from typing import Annotated, Any

from tiphys.api.declaration import At, Int32, Model, Object, RawExtension, default
from tiphys.api.meta import ListMeta, ObjectMeta

META = "io.k8s.apimachinery.pkg.apis.meta.v1."


class TableColumnDefinition(Model, name=META + "TableColumnDefinition"):
    """A column of a table."""

    name: Annotated[str, At(1, required=True)] = ""
    type: Annotated[str, At(2, required=True)] = ""
    format: Annotated[str, At(3, required=True)] = ""
    description: Annotated[str, At(4, required=True)] = ""
    priority: Annotated[Int32, At(5, "0 is always shown, higher ones only in wide output.", required=True)] = 0


class TableRowCondition(Model, name=META + "TableRowCondition"):
    """What is special about a row, such as that its object has completed."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(2, required=True)] = ""
    reason: Annotated[str, At(3)] = ""
    message: Annotated[str, At(4)] = ""


class TableRow(Model, name=META + "TableRow"):
    """One object of a table."""

    cells: Annotated[list[Any], At(1, "One per column.", required=True)] = []
    conditions: Annotated[list[TableRowCondition], At(2)] = []
    object: Annotated[RawExtension, At(3, "The object, or as much of it as was asked for.")] = None


class Table(Object, name=META + "Table"):
    """Objects as a server prints them."""

    apiVersion: str = "meta.k8s.io/v1"
    kind: str = "Table"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    columnDefinitions: Annotated[list[TableColumnDefinition] | None, At(2, required=True)] = None
    rows: Annotated[list[TableRow] | None, At(3, required=True)] = None


class PartialObjectMetadata(Object, name=META + "PartialObjectMetadata"):
    """An object of any kind with nothing but its metadata."""

    apiVersion: str = "meta.k8s.io/v1"
    kind: str = "PartialObjectMetadata"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)


class PartialObjectMetadataList(Object, name=META + "PartialObjectMetadataList"):
    """A list of objects with nothing but their metadata."""

    apiVersion: str = "meta.k8s.io/v1"
    kind: str = "PartialObjectMetadataList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[PartialObjectMetadata], At(2, required=True, list_type="")] = []
