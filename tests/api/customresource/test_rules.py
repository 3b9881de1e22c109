"""CEL rules: what is refused when they are declared, what they say when they run, and that they end."""

# ruff: noqa: E501 - a row of a table stays on one line

from __future__ import annotations

import time
from typing import Any

import pytest

from tiphys.api.customresource.cel import engine
from tiphys.api.customresource.cel.cost import estimate, tokens_of, uses
from tiphys.api.customresource.rulecheck import rule_errors
from tiphys.api.customresource.rules import Rules
from tiphys.api.customresource.structural import Structural

if not engine.available():
    pytest.fail("the CEL tests need cel-expr-python: pip install cel-expr-python", pytrace=False)

PROPERTIES: dict[str, Any] = {
    "n": {"type": "integer"},
    "m": {"type": "integer"},
    "s": {"type": "string", "maxLength": 50},
    "null": {"type": "string", "nullable": True},
    "my-key": {"type": "string"},
    "if": {"type": "boolean"},
    "when": {"type": "string", "format": "date-time"},
    "wait": {"type": "string", "format": "duration"},
    "ratio": {"type": "number"},
    "size": {"x-kubernetes-int-or-string": True},
    "tags": {"type": "array", "maxItems": 10, "items": {"type": "string"}},
    "cfg": {"type": "object", "maxProperties": 10, "additionalProperties": {"type": "string"}},
    "list": {
        "type": "array",
        "maxItems": 10,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
        "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer"}}},
    },
    "big": {"type": "array", "items": {"type": "integer"}},
}


def node(*rules: Any) -> Structural:
    texts = [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]
    spec = {"type": "object", "properties": PROPERTIES, "x-kubernetes-validations": texts}
    return Structural.of({"type": "object", "properties": {"spec": spec}})


def said(rule: Any, value: Any, old: Any = None) -> list[str]:
    schema = node(rule)
    assert rule_errors(schema, "R") == []
    rules = Rules.of(schema)
    assert rules is not None
    before = None if old is None else {"spec": old}
    return [str(error) for error in rules.check({"spec": value}, before)]


RULES: list[tuple[str, Any, Any]] = [
    ("self.n <= self.m", {"n": 1, "m": 2}, {"n": 3, "m": 2}),
    ("!has(self.s) || self.s.startsWith('a')", {}, {"s": "b"}),
    ("self.?s.orValue('x') == 'x'", {}, {"s": "y"}),
    ("self.my__dash__key == 'v'", {"my-key": "v"}, {"my-key": "w"}),
    ("self.__if__", {"if": True}, {"if": False}),
    ("self.when < timestamp('2021-01-01T00:00:00Z')", {"when": "2020-01-01T00:00:00Z"}, {"when": "2022-01-01T00:00:00Z"}),
    ("self.wait <= duration('1h')", {"wait": "30m"}, {"wait": "2h"}),
    ("self.ratio * 2.0 < 5.0", {"ratio": 2}, {"ratio": 3}),
    ("type(self.size) == int || self.size.matches('^[0-9]+%$')", {"size": "5%"}, {"size": "x"}),
    ("self.tags.all(t, t.size() < 3) && self.tags.isSorted()", {"tags": ["a", "b"]}, {"tags": ["b", "a"]}),
    ("self.tags.indexOf('b') == 1", {"tags": ["a", "b"]}, {"tags": ["b", "a"]}),
    ("self.cfg.all(k, self.cfg[k] != '')", {"cfg": {"a": "b"}}, {"cfg": {"a": ""}}),
    ("self.cfg.all(k, v, k != v)", {"cfg": {"a": "b"}}, {"cfg": {"a": "a"}}),
    ("self.tags.exists(i, t, i == 1 && t == 'b')", {"tags": ["a", "b"]}, {"tags": ["b", "a"]}),
    ("self.tags.existsOne(i, t, t == 'a')", {"tags": ["a", "b"]}, {"tags": ["a", "a"]}),
    ("self.tags.transformList(i, t, i > 0, t) == ['b']", {"tags": ["a", "b"]}, {"tags": ["a", "c"]}),
    ("self.cfg.transformMap(k, v, v + 'x')['a'] == 'bx'", {"cfg": {"a": "b"}}, {"cfg": {"a": "c"}}),
    ("self.cfg.transformMapEntry(k, v, {v: k})['b'] == 'a'", {"cfg": {"a": "b"}}, {"cfg": {"a": "c", "c": "b"}}),
    ("self.list.exists_one(i, i.k == 'x' && i.v > 1)", {"list": [{"k": "x", "v": 2}]}, {"list": [{"k": "x", "v": 1}]}),
    ("self.list.map(i, i.v).sum() == 3", {"list": [{"k": "a", "v": 1}, {"k": "b", "v": 2}]}, {"list": []}),
    ("sets.contains(['a', 'b'], self.tags)", {"tags": ["a"]}, {"tags": ["c"]}),
    ("quantity(self.s).isLessThan(quantity('2Gi'))", {"s": "1Gi"}, {"s": "3Gi"}),
    ("quantity(self.s).add(quantity('1')).compareTo(quantity('2')) == 0", {"s": "1"}, {"s": "2"}),
    ("isURL(self.s) && url(self.s).getHostname() == 'h'", {"s": "https://h:1/x"}, {"s": "https://i/"}),
    ("cidr('10.0.0.0/8').containsIP(self.s)", {"s": "10.1.2.3"}, {"s": "11.0.0.1"}),
    ("cidr('10.0.0.0/8').containsIP(ip(self.s))", {"s": "10.1.2.3"}, {"s": "11.0.0.1"}),
    ("isIP(self.s) && ip(self.s).family() == 6", {"s": "::1"}, {"s": "1.2.3.4"}),
    ("semver(self.s).isGreaterThan(semver('1.2.3-rc.1'))", {"s": "1.2.3"}, {"s": "1.2.3-alpha"}),
    ("self.s.find('[0-9]+') == '12'", {"s": "a12b"}, {"s": "ab"}),
    ("self.s.split(',').size() == 2 && base64.encode(b'x') == 'eA=='", {"s": "a,b"}, {"s": "a"}),
    ("self.ratio >= 1 && self.n < 2.5", {"ratio": 1.5, "n": 2}, {"ratio": 0.5, "n": 2}),
    ("self.n in [1, 2] ? 'foo' in self.cfg : true", {"n": 3}, {"n": 1, "cfg": {}}),
    ("'%s-%d'.format([self.s, self.n]) == 'a-1'", {"s": "a", "n": 1}, {"s": "a", "n": 2}),
    ("cel.bind(x, self.n, x * x == 4)", {"n": 2}, {"n": 3}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "good", "bad"), RULES, ids=[row[0] for row in RULES])
def test_a_rule_holds_or_is_named(rule: str, good: Any, bad: Any) -> None:
    assert said(rule, good) == []
    assert said(rule, bad) == [f'spec: Invalid value: "object": failed rule: {rule}']


def test_message_reason_and_path_shape_the_failure() -> None:
    rule = {"rule": "self.n > 1", "message": " too small ", "reason": "FieldValueForbidden", "fieldPath": ".n"}
    assert said(rule, {"n": 1}) == ["spec.n: Forbidden: too small"]
    rule = {"rule": "self.n > 1", "message": "fallback", "messageExpression": "'n is ' + string(self.n)"}
    assert said(rule, {"n": 1}) == ['spec: Invalid value: "object": n is 1']
    broken = {**rule, "messageExpression": "self.s"}
    assert said(broken, {"n": 1}) == ['spec: Invalid value: "object": fallback']


def test_an_evaluation_that_fails_is_a_failure() -> None:
    assert said("self.n > 1", {}) == ['spec: Invalid value: "object": no such key: n evaluating rule: self.n > 1']
    assert said("self.size > 1", {"size": "x"}) == [
        "spec: Invalid value: \"object\": 'no such overload': call arguments did not match a supported operator, "
        "function or macro signature for rule: self.size > 1"
    ]
    assert "quantity" in said("quantity(self.s).sign() == 1", {"s": "x"})[0]


def test_transition_rules_run_only_where_there_is_an_old_value() -> None:
    assert said("self.n >= oldSelf.n", {"n": 1}) == []
    assert said("self.n >= oldSelf.n", {"n": 2}, {"n": 1}) == []
    assert said("self.n >= oldSelf.n", {"n": 1}, {"n": 2}) != []
    optional = {"rule": "oldSelf.hasValue() || self.n == 1", "optionalOldSelf": True}
    assert said(optional, {"n": 1}) == []
    assert said(optional, {"n": 2}) != []
    assert said(optional, {"n": 2}, {"n": 9}) == []


def test_what_has_not_changed_is_not_asked_again() -> None:
    assert said("self.n > 5", {"n": 1}, {"n": 1}) == []
    assert said("self.n > 5", {"n": 2}, {"n": 1}) != []


REFUSED: list[tuple[Any, str]] = [
    ("self.nope", "undefined field 'nope'"),
    ("self.n == 's'", "found no matching overload for '_==_' applied to '(int, string)'"),
    ("self.list.all(i, i.nope == 1)", "undefined field 'nope'"),
    ("self.n", "cel expression must evaluate to a bool"),
    ("self.n >", "Syntax error"),
    ("", "rule is not specified"),
    ("nobody.knows", "undeclared reference"),
    ({"rule": "true", "messageExpression": "1"}, "must evaluate to a string"),
    ({"rule": "true", "message": "a\nb"}, "message must not contain line breaks"),
    ({"rule": "true\n", "fieldPath": ".nope"}, "fieldPath must be a valid path: does not refer to a valid field"),
    ({"rule": "true", "reason": "Other"}, 'Unsupported value: "Other"'),
    ("self.big.all(x, self.big.all(y, x == y))", "estimated rule cost exceeds budget by factor of more than 100x"),
    ("x" * 20_000, "longer than"),
]


@pytest.mark.parametrize(("rule", "text"), REFUSED)
def test_a_rule_that_cannot_be_taken(rule: Any, text: str) -> None:
    assert any(text in str(error) for error in rule_errors(node(rule), "R")), rule_errors(node(rule), "R")


def test_the_place_of_a_mistake_is_shown_in_the_rule_alone() -> None:
    rule = {"rule": "oldSelf.hasValue() &&\n  self.nope", "optionalOldSelf": True, "message": "m"}
    assert str(rule_errors(node(rule), "R")[0]).endswith(
        "compilation failed: ERROR: <input>:2:7: undefined field 'nope'\n |   self.nope\n | ......^"
    )


def test_old_values_of_list_items_without_keys_cannot_be_named() -> None:
    item = {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]}
    schema = {"type": "object", "properties": {"l": {"type": "array", "maxItems": 5, "items": item}}}
    found = rule_errors(Structural.of(schema), "R")
    assert "oldSelf cannot be used on the uncorrelatable portion of the schema" in str(found[0])


def test_rules_inside_unlimited_lists_must_be_cheap() -> None:
    item: dict[str, Any] = {"type": "object", "properties": {"s": {"type": "string"}}}
    item["x-kubernetes-validations"] = [{"rule": "self.s.contains('a') && self.s.contains('b')"}]
    for limit, refused in (({}, True), ({"maxItems": 10}, False)):
        schema = {"type": "object", "properties": {"l": {"type": "array", "items": item, **limit}}}
        assert bool(rule_errors(Structural.of(schema), "R")) is refused


def test_simple_values_are_shown_in_the_failure() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "x-kubernetes-validations": [{"rule": "self > 1"}]}},
    }
    rules = Rules.of(Structural.of(schema))
    assert rules is not None
    assert [str(error) for error in rules.check({"n": 0}, None)] == ["n: Invalid value: 0: failed rule: self > 1"]


def test_a_rule_that_would_run_for_ever_ends() -> None:
    schema = node("self.big.all(x, self.big.all(y, self.big.all(z, x + y + z >= 0)))")
    rules = Rules.of(schema)
    assert rules is not None
    began = time.monotonic()
    found = rules.check({"spec": {"big": list(range(2000))}}, None)
    assert "cost" in str(found[0])
    assert time.monotonic() - began < 2


def test_without_the_extra_a_definition_with_rules_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "cel", None)
    schema = node("self.n > 1")
    assert (
        str(rule_errors(schema, "R")[0]) == f"R.properties[spec].x-kubernetes-validations: Forbidden: {engine.MISSING}"
    )
    rules = Rules.of(schema)
    assert rules is not None
    assert engine.MISSING in str(rules.check({"spec": {"n": 5}}, None)[0])


def test_tokens_tell_names_from_texts() -> None:
    assert tokens_of("self.a == 'x.y' // oldSelf") == ["self", ".", "a", "=", "=", "'x.y'"]
    assert uses("self == oldSelf", "oldSelf")
    assert not uses("self.oldSelf == 'oldSelf'", "oldSelf")
    assert estimate("true", Structural.of({"type": "object"})) < 10


def test_a_map_that_a_macro_makes_is_bounded_and_so_is_its_time() -> None:
    program = engine.Program("self.transformMap(k, v, v + 'x').size() > 0")
    assert program.run({f"k{number}": "v" for number in range(400)}, None, has_old=False) is True
    started = time.thread_time()
    with pytest.raises(engine.EvaluationError):
        program.run({f"k{number}": "v" for number in range(5000)}, None, has_old=False)
    assert time.thread_time() - started < 3, "squared it would take twenty seconds"
