"""JSONPath templates give what kubectl's give."""

from __future__ import annotations

import pytest

from tiphys.cli.errors import CommandError
from tiphys.cli.jsonpath import render

POD = {
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"app.kubernetes.io/name": "web"}},
    "status": {
        "ready": True,
        "conditions": [{"type": "A", "status": "True", "n": 1}, {"type": "B", "status": "False", "n": 2}],
    },
}
LIST = {"items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]}

CASES = [
    ("{.metadata.name}", POD, "web"),
    (".metadata.name", POD, "web"),
    ("{$.kind}/{.metadata.name}", POD, "Pod/web"),
    (r"{.metadata.labels.app\.kubernetes\.io/name}", POD, "web"),
    ("{.metadata.labels['app.kubernetes.io/name']}", POD, "web"),
    ("{.status.conditions[0].type}", POD, "A"),
    ("{.status.conditions[-1:].type}", POD, "B"),
    ("{.status.conditions[*].type}", POD, "A B"),
    ('{.status.conditions[?(@.type=="B")].status}', POD, "False"),
    ("{.status.conditions[?(@.n>1)].type}", POD, "B"),
    ("{.status.ready}", POD, "true"),
    ("{.status.conditions[0]}", POD, '{"type":"A","status":"True","n":1}'),
    ("{.missing.name}", POD, ""),
    ("{..name}", LIST, "a b"),
    ('{range .items[*]}{.metadata.name}{"\\n"}{end}', LIST, "a\nb\n"),
    ("{.items[*].metadata.name}", LIST, "a b"),
    ("{range.items[*]}{.metadata.name},{end}", LIST, "a,b,"),
]


@pytest.mark.parametrize(("template", "value", "want"), CASES)
def test_a_template_renders(template: str, value: object, want: str) -> None:
    assert render(template, value) == want


@pytest.mark.parametrize("template", ["{.a", "{.a[}", "{end}", '{"\\x"}'])
def test_a_broken_template_is_an_error(template: str) -> None:
    with pytest.raises(CommandError):
        render(template, POD)
