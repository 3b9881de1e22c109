"""Server-side apply: ownership, conflicts, removal, lists; the rules of upstream's field manager as tables."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.api.apply import keep_timestamps_when_unchanged, manager_name, server_side_apply, update_managed_fields
from tiphys.api.decode import decode
from tiphys.api.kinds import builtin_registry
from tiphys.api.schema import Field, ListOf, MapOf, Scalar, Struct
from tiphys.api.status import StatusError

STRING = Scalar("string")
PORT = Struct(
    "x.v1.Port",
    lambda: {
        "port": Field("port", Scalar("integer", "int32", "int32")),
        "protocol": Field("protocol", STRING, default="TCP"),
        "name": Field("name", STRING),
    },
)
SPEC = Struct(
    "x.v1.Spec",
    lambda: {
        "replicas": Field("replicas", Scalar("integer", "int32", "int32"), pointer=True),
        "ports": Field("ports", ListOf(PORT, "map", ("port", "protocol"))),
        "tags": Field("tags", ListOf(STRING, "set")),
        "args": Field("args", ListOf(STRING)),
        "labels": Field("labels", MapOf(STRING)),
        "frozen": Field("frozen", MapOf(STRING, atomic=True)),
        "template": Field("template", SPEC, pointer=True),
    },
)
META = Struct(
    "x.v1.Meta",
    lambda: {
        name: Field(name, MapOf(STRING) if name in ("labels", "annotations") else STRING)
        for name in ("name", "namespace", "uid", "resourceVersion", "labels", "annotations")
    },
)
THING = Struct(
    "x.v1.Thing",
    lambda: {
        "apiVersion": Field("apiVersion", STRING),
        "kind": Field("kind", STRING),
        "metadata": Field("metadata", META, zero={}),
        "spec": Field("spec", SPEC, zero={}),
        "status": Field("status", SPEC, zero={}),
    },
)
Object = dict[str, Any]


def thing(spec: Object | None = None, **more: Any) -> Object:
    return {"apiVersion": "x/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec or {}, **more}


NOTHING = {"apiVersion": "x/v1", "kind": "Thing", "metadata": {"name": "t"}}


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02d}Z"


def apply(live: Object | None, spec: Object, manager: str = "a", second: int = 1, **options: Any) -> Object:
    options.setdefault("force", False)
    patch = options.pop("patch", None) or thing(spec)
    result = server_side_apply(live, patch, THING, manager=manager, api_version="x/v1", now=at(second), **options)
    managed = result["metadata"].get("managedFields")
    value = decode(result | {"metadata": {k: v for k, v in result["metadata"].items() if k != "managedFields"}}, THING)
    value.value["metadata"]["uid"] = "u"
    if managed:
        value.value["metadata"]["managedFields"] = managed
    return keep_timestamps_when_unchanged(value.value, live) if live else value.value


def update(live: Object | None, new: Object, manager: str = "u", second: int = 2, **options: Any) -> Object:
    new = copy.deepcopy(new)
    result = update_managed_fields(live, new, THING, manager=manager, api_version="x/v1", now=at(second), **options)
    result["metadata"]["uid"] = "u"
    return result


def owned(obj: Object, manager: str, operation: str = "Apply") -> Any:
    for entry in obj["metadata"].get("managedFields", []):
        if (entry["manager"], entry["operation"]) == (manager, operation):
            return entry["fieldsV1"]
    return None


def change(live: Object, **spec: Any) -> Object:
    return {**live, "spec": {**live["spec"], **spec}}


def test_metadata_that_identifies_the_object_is_never_owned() -> None:
    live = apply(None, {"replicas": 1})
    assert owned(live, "a") == {"f:spec": {"f:replicas": {}}}


def test_a_list_with_two_keys_fills_the_defaulted_one() -> None:
    live = apply(None, {"ports": [{"port": 80}, {"port": 80, "protocol": "UDP"}]})
    assert owned(live, "a") == {
        "f:spec": {
            "f:ports": {
                'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}},
                'k:{"port":80,"protocol":"UDP"}': {".": {}, "f:port": {}, "f:protocol": {}},
            }
        }
    }
    live = apply(live, {"ports": [{"port": 80, "protocol": "TCP", "name": "web"}]})
    assert live["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "name": "web"}]


def test_members_of_a_set_have_their_own_owners() -> None:
    live = apply(None, {"tags": ["x", "y"]})
    live = apply(live, {"tags": ["z"]}, "b")
    assert sorted(live["spec"]["tags"]) == ["x", "y", "z"]
    live = apply(live, {"tags": ["y"]})
    assert sorted(live["spec"]["tags"]) == ["y", "z"]
    assert owned(live, "a") == {"f:spec": {"f:tags": {'v:"y"': {}}}}


def test_an_atomic_list_map_or_struct_changes_hands_as_a_whole() -> None:
    live = apply(None, {"args": ["a"], "frozen": {"k": "1"}})
    assert owned(live, "a") == {"f:spec": {"f:args": {}, "f:frozen": {}}}
    with pytest.raises(StatusError) as refused:
        apply(live, {"args": ["b"], "frozen": {"l": "1"}}, "b")
    assert refused.value.message == ('Apply failed with 2 conflicts: conflicts with "a":\n- .spec.args\n- .spec.frozen')
    live = apply(live, {"args": ["b"], "frozen": {"l": "1"}}, "b", force=True)
    assert live["spec"] == {"args": ["b"], "frozen": {"l": "1"}}
    assert owned(live, "a") is None


def test_conflict_causes_name_manager_subresource_and_path() -> None:
    live = apply(None, {"replicas": 1, "ports": [{"port": 1, "name": "p"}]})
    live = update(live, change(live, replicas=5), "hpa", subresource="scale")
    with pytest.raises(StatusError) as refused:
        apply(live, {"replicas": 1, "ports": [{"port": 1, "name": "q"}]}, "b")
    assert (refused.value.code, refused.value.reason) == (409, "Conflict")
    assert refused.value.details == {
        "causes": [
            {"reason": "FieldManagerConflict", "message": 'conflict with "a"',
             "field": '.spec.ports[port=1,protocol="TCP"].name'},
            {"reason": "FieldManagerConflict",
             "message": 'conflict with "hpa" with subresource "scale" using x/v1', "field": ".spec.replicas"},
        ]
    }  # fmt: skip


def test_an_equal_value_is_shared_without_conflict_and_stays_when_one_owner_leaves() -> None:
    live = apply(None, {"labels": {"k": "1"}})
    live = apply(live, {"labels": {"k": "1"}}, "b", 2)
    live = apply(live, {"labels": {}}, "a", 3)
    assert live["spec"]["labels"] == {"k": "1"}
    live = apply(live, {}, "b", 4)
    assert "labels" not in live["spec"]


def test_a_field_that_an_updater_took_over_survives_its_first_owners_removal() -> None:
    live = apply(None, {"replicas": 1, "labels": {"k": "1"}})
    live = update(live, change(live, replicas=5))
    assert owned(live, "a") == {"f:spec": {"f:labels": {"f:k": {}}}}
    live = apply(live, {})
    assert live["spec"] == {"replicas": 5}


def test_forcing_takes_the_field_from_its_owner() -> None:
    live = apply(None, {"replicas": 1})
    live = apply(live, {"replicas": 2}, "b", 2, force=True)
    assert live["spec"]["replicas"] == 2
    assert owned(live, "a") is None


def test_applying_the_same_again_changes_nothing_not_even_the_time() -> None:
    live = apply(None, {"replicas": 1, "ports": [{"port": 1}], "tags": ["x"], "args": ["y"]}, second=1)
    assert apply(live, {"replicas": 1, "ports": [{"port": 1}], "tags": ["x"], "args": ["y"]}, second=9) == live


def test_the_order_of_a_keyed_list_follows_the_configuration_around_foreign_elements() -> None:
    live = apply(None, {"ports": [{"port": 1}, {"port": 2}]})
    live = apply(live, {"ports": [{"port": 3}]}, "b")
    live = apply(live, {"ports": [{"port": 2}, {"port": 1}]})
    assert [port["port"] for port in live["spec"]["ports"]] == [2, 3, 1]


def test_an_update_owns_what_it_changed_and_its_entry_grows() -> None:
    live = update(None, thing({"replicas": 1, "labels": {"a": "1"}}), "c", 1)
    assert owned(live, "c", "Update") == {"f:spec": {"f:labels": {".": {}, "f:a": {}}, "f:replicas": {}}}
    live = update(live, change(live, replicas=2), "u", 2)
    live = update(live, change(live, args=["x"]), "u", 3)
    assert owned(live, "u", "Update") == {"f:spec": {"f:args": {}, "f:replicas": {}}}
    assert owned(live, "c", "Update") == {"f:spec": {"f:labels": {".": {}, "f:a": {}}}}
    times = {entry["manager"]: entry["time"] for entry in live["metadata"]["managedFields"]}
    assert times == {"c": at(1), "u": at(3)}


def test_an_update_that_changes_nothing_owns_nothing() -> None:
    live = update(None, thing({"replicas": 1}), "c", 1)
    assert update(live, live, "u", 5) == live


def test_subresources_have_entries_of_their_own_and_do_not_own_what_they_cannot_change() -> None:
    live = update(None, thing({"replicas": 1}, status={"replicas": 9}), "c", 1)
    assert owned(live, "c", "Update") == {"f:spec": {"f:replicas": {}}}
    new = {**live, "spec": {"replicas": 7}, "status": {"replicas": 1}}
    live = update(live, new, "c", 2, subresource="status")
    entries = live["metadata"]["managedFields"]
    assert [entry.get("subresource") for entry in entries] == [None, "status"]
    assert entries[1]["fieldsV1"] == {"f:status": {"f:replicas": {}}}


@pytest.mark.parametrize("reset", [[], [{}]])
def test_an_empty_list_resets_the_record(reset: list[Any]) -> None:
    live = apply(None, {"replicas": 1})
    new = copy.deepcopy(live)
    new["metadata"]["managedFields"] = reset
    cleared = update(live, new)
    assert "managedFields" not in cleared["metadata"]
    again = apply(cleared, {"replicas": 1}, second=3)
    assert [(e["manager"], e["operation"], "time" in e) for e in again["metadata"]["managedFields"]] == [
        ("a", "Apply", False),
        ("before-first-apply", "Update", True),
    ]


def test_a_client_may_rewrite_the_record_and_nonsense_is_ignored() -> None:
    live = apply(None, {"replicas": 1})
    new = copy.deepcopy(live)
    new["metadata"]["managedFields"][0]["manager"] = "renamed"
    assert owned(update(live, new), "renamed") == {"f:spec": {"f:replicas": {}}}
    for junk in ([{"manager": "x"}], [{"operation": "Update", "apiVersion": "v1", "fieldsType": "V9"}], "x", [3]):
        new["metadata"]["managedFields"] = junk
        assert owned(update(live, new), "a") == {"f:spec": {"f:replicas": {}}}


def test_the_oldest_of_more_than_ten_updaters_become_ancient_changes() -> None:
    live = update(None, thing({"labels": {"k0": "x"}}), "m0", 0)
    for index in range(1, 12):
        live = update(live, change(live, labels={**live["spec"]["labels"], f"k{index}": "x"}), f"m{index}", index)
    entries = live["metadata"]["managedFields"]
    assert len(entries) == 10
    assert entries[0]["manager"] == "ancient-changes"
    assert entries[0]["time"] == at(2)
    assert entries[0]["fieldsV1"] == {"f:spec": {"f:labels": {".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}}}}


LAST = "kubectl.kubernetes.io/last-applied-configuration"


def test_kubectl_takes_over_what_client_side_apply_set_and_keeps_the_annotation_in_step() -> None:
    text = '{"apiVersion":"x/v1","kind":"Thing","metadata":{"name":"t"},"spec":{"replicas":1}}'
    created = thing({"replicas": 1})
    created["metadata"]["annotations"] = {LAST: text}
    live = update(None, created, "kubectl-client-side-apply", 1)
    with pytest.raises(StatusError):
        apply(live, {"replicas": 2}, "other", 2)
    live = apply(live, {"replicas": 2}, "kubectl", 2)
    assert live["spec"]["replicas"] == 2
    assert '"replicas":2' in live["metadata"]["annotations"][LAST]


def test_kubectl_still_conflicts_where_somebody_else_changed_the_value() -> None:
    text = '{"apiVersion":"x/v1","kind":"Thing","metadata":{"name":"t"},"spec":{"replicas":1}}'
    created = thing({"replicas": 1})
    created["metadata"]["annotations"] = {LAST: text}
    live = update(None, created, "kubectl-client-side-apply", 1)
    live = update(live, change(live, replicas=5), "hpa", 2)
    with pytest.raises(StatusError, match=r'conflict with "hpa" using x/v1: \.spec\.replicas'):
        apply(live, {"replicas": 2}, "kubectl", 3)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"bogus": 1}, ".spec.bogus: field not declared in schema"),
        ({"replicas": "x"}, ".spec.replicas: expected numeric (int or float), got string"),
        ({"labels": {"a": 1}}, ".spec.labels.a: expected string, got &value.valueUnstructured{Value:1}"),
        ({"ports": [{"name": "x"}]},
         '.spec.ports: element 0: associative list with keys has an element that omits key field "port" '
         "(and doesn't have default value)"),
        ({"ports": [{"port": 1}, {"port": 1}]}, '.spec.ports: duplicate entries for key [port=1,protocol="TCP"]'),
        ({"tags": ["a", "a"]}, '.spec.tags: duplicate entries for key [="a"]'),
        ({"bogus": 1, "more": 1}, "errors:\n  .spec.bogus: field not declared in schema\n"
         "  .spec.more: field not declared in schema"),
    ],
)  # fmt: skip
def test_a_configuration_that_does_not_fit_is_refused(spec: Object, text: str) -> None:
    with pytest.raises(StatusError) as refused:
        apply(None, spec)
    assert refused.value.message == f"failed to create typed patch object (/t; x/v1, Kind=Thing): {text}"
    assert (refused.value.code, refused.value.reason) == (500, "")


def test_managed_fields_and_other_versions_do_not_belong_into_a_configuration() -> None:
    patch = thing({})
    patch["metadata"]["managedFields"] = []
    with pytest.raises(StatusError, match=r"metadata\.managedFields must be nil"):
        apply(None, {}, patch=patch)
    with pytest.raises(StatusError, match="Specified patch version: x/v2, expected: x/v1"):
        apply(None, {}, patch={**thing({}), "apiVersion": "x/v2"})


def test_a_write_that_differs_only_in_times_keeps_the_old_times() -> None:
    old = apply(None, {"replicas": 1}, second=1)
    new = copy.deepcopy(old)
    new["metadata"]["managedFields"][0]["time"] = at(9)
    assert keep_timestamps_when_unchanged(new, old) == old
    new["spec"]["replicas"] = 2
    assert keep_timestamps_when_unchanged(new, old) is new


def test_the_manager_of_a_request_without_one_is_its_user_agents_first_word() -> None:
    assert manager_name("", "kubectl/v1.37.1 (linux/amd64)") == "kubectl"
    assert manager_name("x", "kubectl/v1") == "x"
    assert len(manager_name("", "ü" * 200).encode()) <= 128


def test_a_config_map_created_by_apply_then_emptied_keeps_others_keys() -> None:
    info = builtin_registry().by_kind("", "v1", "ConfigMap")
    assert info is not None
    base = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}}
    one = server_side_apply(
        None, {**base, "data": {"k": "1"}}, info.schema, manager="a", api_version="v1", force=False, now=at(1)
    )
    assert one["metadata"]["managedFields"][0]["fieldsV1"] == {"f:data": {"f:k": {}}}


_specs = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(0, 2),
        "ports": st.lists(
            st.fixed_dictionaries({"port": st.integers(1, 3)}, optional={"name": st.sampled_from("xy")}),
            unique_by=lambda port: port["port"], max_size=3,
        ),
        "tags": st.lists(st.sampled_from("abc"), unique=True, max_size=3),
        "args": st.lists(st.sampled_from("abc"), max_size=2),
        "labels": st.dictionaries(st.sampled_from("kl"), st.sampled_from("12"), max_size=2),
        "frozen": st.dictionaries(st.sampled_from("kl"), st.sampled_from("12"), max_size=2),
    },
)  # fmt: skip


def _without_order(spec: Object) -> Object:
    out = dict(spec)
    for name, key in (("ports", lambda port: port["port"]), ("tags", lambda tag: tag)):
        if name in out:
            out[name] = sorted(out[name], key=key)
    return out


@given(_specs, _specs, _specs)
@settings(max_examples=300, deadline=None)
def test_applying_is_idempotent_and_leaving_restores_what_others_own(
    first: Object, second: Object, third: Object
) -> None:
    live = apply(None, first, "a", 1)
    live = apply(live, second, "b", 2, force=True)
    again = apply(live, second, "b", 9, force=True)
    assert again == live, "a second time changes nothing"
    joined = apply(live, third, "c", 3, force=True)
    assert apply(joined, third, "c", 9, force=True) == joined
    left = apply(joined, {}, "c", 4, patch=NOTHING)
    assert owned(left, "c") is None
    third_only = apply(None, third, "c", 1)
    gone = apply(third_only, {}, "c", 2, patch=NOTHING)
    assert gone["spec"] == {}, "an only owner takes everything with it"


@given(_specs, _specs)
@settings(max_examples=300, deadline=None)
def test_a_configuration_is_in_the_result_and_foreign_fields_stay(first: Object, second: Object) -> None:
    live = apply(None, first, "a", 1)
    merged = apply(live, second, "b", 2, force=True)
    expected = decode(thing(second), THING).value["spec"]
    for name, value in expected.items():
        if name == "labels":
            assert value.items() <= merged["spec"]["labels"].items()
        elif name == "tags":
            assert set(value) <= set(merged["spec"]["tags"])
        elif name == "ports":
            for port in value:
                found = next(one for one in merged["spec"]["ports"] if one["port"] == port["port"])
                assert port.items() <= found.items()
        else:
            assert merged["spec"][name] == value
    for name in live["spec"]:
        assert name in merged["spec"] or name in second
