"""labelSelector and fieldSelector of list, watch and deletecollection: from text to a filter of the watch cache.

What must stay true: a field that the kind does not offer is refused, never ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from apiserver.requestinfo import Query, first
from apiserver.storage.cacheitem import CacheItem, Filter
from tiphys.api.kinds import KindInfo
from tiphys.api.selectors import (
    LabelSelectorExpr,
    SelectorError,
    parse_field_selector,
    parse_label_selector,
)
from tiphys.api.status import bad_request

Terms = Sequence[tuple[str, str, str]]


def selection(query: Query, info: KindInfo, namespace: str, name: str = "") -> Filter:
    """The filter of a request.  Raises 400 in upstream's words."""
    labels = _labels(first(query, "labelSelector"))
    terms = _fields(first(query, "fieldSelector"), info)
    exact = [value for path, operator, value in terms if path == "metadata.name" and operator == "="]
    if exact and not name and len(set(exact)) == 1:
        name = exact[0]
    matches = None
    if terms or (labels is not None and not labels.empty):
        matches = _matcher(labels, terms)
    needed = [(path, value) for path, operator, value in terms if operator == "=" and not path.startswith("metadata.")]
    return Filter(namespace, name, matches, needed[0] if needed else ("", ""))


def _labels(text: str) -> LabelSelectorExpr | None:
    if not text:
        return None
    try:
        return parse_label_selector(text)
    except SelectorError as error:
        raise bad_request(str(error)) from None


def _fields(text: str, info: KindInfo) -> Terms:
    if not text:
        return ()
    try:
        terms = parse_field_selector(text)
    except SelectorError as error:
        raise bad_request(str(error)) from None
    known = {"metadata.name", "metadata.namespace", *info.selectable_fields}
    for path, _, _ in terms:
        if path not in known:
            raise bad_request(f"field label not supported: {path}")
    return terms


def _matcher(labels: LabelSelectorExpr | None, terms: Terms) -> Callable[[CacheItem], bool]:
    def matches(item: CacheItem) -> bool:
        if labels is not None and not labels.matches(item.labels):
            return False
        for path, operator, value in terms:
            if path == "metadata.name":
                found = item.name
            elif path == "metadata.namespace":
                found = item.namespace
            else:
                found = item.fields.get(path, "")
            if (found == value) != (operator == "="):
                return False
        return True

    return matches
