"""A server-printed Table as the lines `tiphys get` shows: which columns, and what stands before and behind them."""

from __future__ import annotations

import argparse
from typing import Any

from tiphys.cli.resources import ResourceType
from tiphys.cli.table import TablePrinter, cell_text

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class TableView:
    """One table on the screen: its header is printed once and its columns only grow."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._wide = arguments.output == "wide"
        self._with_namespace = bool(arguments.all_namespaces)
        self._show_labels = bool(arguments.show_labels)
        self._label_keys = [key for given in arguments.label_columns for key in given.split(",") if key]
        self._sort_by: str = arguments.sort_by
        self._printer = TablePrinter(headers=not arguments.no_headers)

    def lines(self, resource: ResourceType, table: Any, *, with_kind: bool = False) -> list[str]:
        """The lines of a Table's rows; none when it has no rows."""
        rows = table.get("rows") or []
        columns = table.get("columnDefinitions") or []
        if not rows or not columns:
            return []
        if self._sort_by:
            from tiphys.cli.jsonpath import sort_key

            rows = sorted(rows, key=lambda row: sort_key(self._sort_by, row.get("object")))
        shown = [number for number, column in enumerate(columns) if self._wide or not column.get("priority")]
        with_namespace = self._with_namespace and resource.namespaced
        header = ["NAMESPACE"] * with_namespace + [cell_text(columns[number]["name"]).upper() for number in shown]
        header += [key.rpartition("/")[2].upper() for key in self._label_keys]
        header += ["LABELS"] * self._show_labels
        cells = [self._row(resource, row, shown, with_namespace, with_kind) for row in rows]
        return self._printer.lines(header, cells)

    def _row(
        self, resource: ResourceType, row: Any, shown: list[int], with_namespace: bool, with_kind: bool
    ) -> list[str]:
        cells = [cell_text(row["cells"][number]) for number in shown]
        if with_kind:
            cells[0] = f"{resource.label}/{cells[0]}"
        metadata = (row.get("object") or {}).get("metadata") or {}
        labels = metadata.get("labels") or {}
        if with_namespace:
            cells.insert(0, cell_text(metadata.get("namespace", "")))
        cells += [cell_text(labels.get(key, "")) for key in self._label_keys]
        if self._show_labels:
            cells.append(cell_text(",".join(f"{key}={labels[key]}" for key in sorted(labels)) or "<none>"))
        return cells
