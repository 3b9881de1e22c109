"""The expressions of webhooks and policies: what compiles, what they refer to, and mutations as maps."""

from __future__ import annotations

import pytest

from tiphys.api.admissionregistration.expressions import (
    BOOL,
    CONDITION,
    POLICY,
    TEXT,
    as_maps,
    compile_errors,
    compiled,
    mutation,
    mutation_errors,
    variables_used,
)

VALUES = {"object": {"spec": {"replicas": 3}, "metadata": {"name": "a"}}, "variables": {"x": 2}}


@pytest.mark.parametrize(
    ("text", "variables", "wanted", "said"),
    [
        ("object.spec.replicas > 1", CONDITION, BOOL, ""),
        ("object.spec.replicas", CONDITION, BOOL, ""),  # its type is not known before it runs
        ("params.x", CONDITION, BOOL, "undeclared reference to 'params"),
        ("params.x", POLICY, BOOL, ""),
        ("'text'", POLICY, BOOL, "must evaluate to bool"),
        ("1 + 1", POLICY, TEXT, "must evaluate to string"),
        ("... [] bad expression", CONDITION, BOOL, "compilation failed: ERROR: <input>:1:"),
        ("object." + "x" * 20_000, CONDITION, BOOL, "expression is longer than"),
    ],
)
def test_an_expression_compiles_or_says_why_not(
    text: str, variables: tuple[str, ...], wanted: tuple[str, ...], said: str
) -> None:
    errors = compile_errors("here", text, variables, wanted)
    assert [error.field for error in errors] == (["here"] if said else [])
    assert said in "".join(error.detail for error in errors)


def test_variables_are_found_by_name_and_not_as_members() -> None:
    text = "variables.a + variables.b.c > object.variables.d && variables.a == 'variables.e'"
    assert variables_used(text) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Object{spec: Object.spec{replicas: object.spec.replicas + 1}}", {"spec": {"replicas": 4}}),
        ("Object{metadata: Object.metadata{labels: {'a': 'b'}}}", {"metadata": {"labels": {"a": "b"}}}),
        ("Object{spec: Object.spec{items: [Object.spec.items{name: 'x'}]}}", {"spec": {"items": [{"name": "x"}]}}),
        ("Object{__namespace__: 'n', a__dash__b: 1}", {"namespace": "n", "a-b": 1}),
        ("Object{?x: optional.none(), ?y: optional.of(1)}", {"y": 1}),
        ("Object{x: has(object.spec) ? variables.x : 0}", {"x": 2}),
        ("[JSONPatch{op: 'add', path: '/a', value: {'op': 'x'}}]", [{"op": "add", "path": "/a", "value": {"op": "x"}}]),
        ("Object{}", {}),
        ("{'Object': 'Object{}'}", {"Object": "Object{}"}),
    ],
)
def test_a_mutation_evaluates_to_the_map_it_writes(text: str, value: object) -> None:
    assert mutation(text).run(VALUES) == value
    assert mutation_errors("here", text) == []


def test_what_has_no_type_names_stays_as_it_is() -> None:
    text = "object.spec.replicas > 1 ? 'a' : 'b'"
    assert as_maps(text) is text
    assert compiled(text, POLICY, TEXT).run(VALUES) == "a"


def test_a_broken_mutation_is_refused() -> None:
    assert mutation_errors("here", "Object{spec: }") and mutation_errors("here", "Object{spec: nobody}")
