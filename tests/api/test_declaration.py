"""The declaration mechanism: models to nodes, models to the wire, and what both cost."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import pytest
from pydantic import ValidationError

from tiphys.api.apps.deployment import Deployment
from tiphys.api.core.container import Container, ContainerPort, ResourceRequirements
from tiphys.api.core.event import Event
from tiphys.api.core.pod import Pod, PodSpec
from tiphys.api.core.volumes import Volume
from tiphys.api.declaration import At, Int32, Model, Quantity, Time, alias, default, struct_of, zero_of
from tiphys.api.meta import ListMeta, ObjectMeta
from tiphys.api.schema import ListOf, MapOf, Scalar, Struct


class Part(Model, name="io.k8s.api.example.v1.Part"):
    size: Annotated[int, At(1)] = 0


class Base(Model, name="io.k8s.api.example.v1.Base"):
    left: Annotated[Part | None, At(1)] = None


class Whole(Base, name="io.k8s.api.example.v1.Whole", inlined=2, atomic=True):
    """A type with one field of each form."""

    name: Annotated[str, At(1, "What it is called.", required=True)] = ""
    note: Annotated[str, At(3)] = ""
    count: Annotated[Int32 | None, At(4)] = None
    part: Annotated[Part, At(5)] = default(Part)
    parts: Annotated[list[Part], At(6, keys=("size",), merge="size")] = []
    must: Annotated[list[str], At(7, required=True, list_type="set")] = []
    labels: Annotated[dict[str, str], At(8, atomic=True)] = {}
    at: Annotated[Time | None, At(9, always=True)] = None
    divisor: Annotated[Quantity, At(10)] = ""
    from_: Annotated[str, At(11), alias("from")] = ""


def test_zero_values_are_dropped_and_what_go_always_writes_is_kept() -> None:
    assert Whole().to_dict() == {"name": "", "part": {}, "must": None, "at": None, "divisor": "0"}


def test_a_pointer_to_zero_is_kept() -> None:
    assert Whole(count=0).to_dict()["count"] == 0
    assert Whole(left=Part()).to_dict()["left"] == {}


def test_a_field_named_like_a_keyword_goes_by_its_wire_name() -> None:
    whole = Whole.model_validate({"from": "here"})
    assert whole.from_ == "here" and whole.to_dict()["from"] == "here"
    assert ListMeta(continue_="token").to_dict() == {"continue": "token"}


def test_unknown_fields_are_ignored_on_the_way_in() -> None:
    assert Whole.model_validate({"name": "x", "invented": 1}).name == "x"


def test_models_are_frozen_and_share_their_empty_defaults() -> None:
    one, two = Whole(), Whole()
    assert one.part is two.part and one.parts is two.parts
    with pytest.raises(ValidationError):
        one.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        one.parts.append(Part())
    assert Whole().parts == []


def test_the_wire_form_belongs_to_the_caller() -> None:
    whole = Whole(must=["a"], labels={"a": "b"})
    wire = whole.to_dict()
    wire["must"].append("b")
    wire["labels"]["c"] = "d"
    assert whole.must == ["a"] and whole.labels == {"a": "b"}


def test_a_model_becomes_a_node_with_all_its_facts() -> None:
    fields = struct_of(Whole).fields
    assert struct_of(Whole) is struct_of(Whole) and struct_of(Whole).atomic
    assert struct_of(Whole).description == "A type with one field of each form."
    name = fields["name"]
    assert (name.required, name.zero, name.default, name.tag, name.description) == (
        True,
        "",
        "",
        1,
        "What it is called.",
    )
    assert fields["count"].pointer and fields["count"].type == Scalar("integer", "int32", "int32")
    assert fields["note"].zero is None and not fields["note"].pointer
    parts = fields["parts"].type
    assert isinstance(parts, ListOf) and (parts.list_type, parts.map_keys) == ("map", ("size",))
    assert (parts.patch_strategy, parts.patch_merge_key) == ("merge", "size")
    assert fields["labels"].type == MapOf(Scalar("string"), atomic=True)
    assert fields["from"].tag == 11


def test_inlined_fields_travel_in_a_message_of_their_own() -> None:
    struct = struct_of(Whole)
    assert struct.fields["left"].tag == 0
    assert struct.inlined is not None
    number, message = struct.inlined
    assert number == 2 and message is struct_of(Base) and message.fields["left"].tag == 1
    assert struct_of(Volume).inlined is not None


def test_protobuf_names_are_bare_inside_their_package() -> None:
    assert struct_of(PodSpec).fields["containers"].proto == "repeated Container"
    assert struct_of(Pod).fields["metadata"].proto == ".k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def test_the_zero_of_a_struct_is_what_go_writes_for_it() -> None:
    assert zero_of(struct_of(Container)) == {"name": "", "resources": {}}
    assert zero_of(struct_of(Event))["firstTimestamp"] is None


def test_a_pod_goes_through_its_model_unchanged() -> None:
    wire = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "labels": {"a": "b"}, "managedFields": [{"manager": "m", "fieldsV1": {"f:a": {}}}]},
        "spec": {
            "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}], "resources": {}}],
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "v", "emptyDir": {}}],
        },
        "status": {"phase": "Pending"},
    }
    pod = Pod.model_validate(wire)
    assert pod.to_dict() == wire
    assert pod.spec.terminationGracePeriodSeconds == 0
    assert pod.spec.containers[0].resources.requests == {}


def test_objects_made_here_know_their_kind() -> None:
    pod = Pod(metadata=ObjectMeta(name="p"), spec=PodSpec(containers=[Container(name="c")]))
    assert pod.to_dict()["kind"] == "Pod" and Deployment().apiVersion == "apps/v1"


def test_the_type_of_a_field_is_known_to_type_checkers() -> None:
    pod = Pod()
    containers: list[Container] = pod.spec.containers
    requests: dict[str, str] = Container(resources=ResourceRequirements(requests={"cpu": "1"})).resources.requests
    port: int = ContainerPort(containerPort=80).containerPort
    assert (containers, requests, port) == ([], {"cpu": "1"}, 80)


def test_importing_pods_builds_no_nodes_and_loads_no_behaviour() -> None:
    program = (
        "import sys; import tiphys.api.core.pod; from tiphys.api import declaration; "
        "assert not declaration._structs; "
        "assert not [m for m in sys.modules if m.endswith(('_table', '_strategy', '_validation', '.defaults'))]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_recursive_types_become_cyclic_nodes() -> None:
    seen = struct_of(Pod).fields["spec"].type
    assert isinstance(seen, Struct) and seen is struct_of(PodSpec)
