"""The Node's conditions and when its status is written."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nodeagent.eviction.thresholds import parse_config
from nodeagent.machine import read_machine
from nodeagent.node import Health, NodeConfig, conditions, differs, extended, registration
from nodeagent.upkeep import reserved_of

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_healthy_node_is_ready() -> None:
    made = conditions([], Health(), NOW)
    assert [(c["type"], c["status"], c["reason"]) for c in made] == [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID"),
        ("Ready", "True", "KubeletReady"),
    ]


def test_a_fault_is_the_message_of_ready_and_keeps_other_transitions() -> None:
    before = conditions([], Health(), NOW)
    later = NOW + timedelta(seconds=30)
    after = conditions(before, Health("conmon is missing", {"DiskPressure": True}), later)
    assert (after[3]["status"], after[3]["message"]) == ("False", "conmon is missing")
    assert after[3]["lastTransitionTime"] == "2026-01-02T03:04:35Z"
    assert after[0]["lastTransitionTime"] == "2026-01-02T03:04:05Z"
    assert after[1]["reason"] == "KubeletHasDiskPressure"


def test_the_status_is_written_when_it_differs_or_is_five_minutes_old() -> None:
    old = {"conditions": conditions([], Health(), NOW), "images": []}
    soon, late = NOW + timedelta(seconds=60), NOW + timedelta(seconds=300)
    assert not differs(old, {**old, "conditions": conditions(old["conditions"], Health(), soon)}, soon)
    assert differs(old, {**old, "conditions": conditions(old["conditions"], Health(), late)}, late)
    assert differs(old, {**old, "images": [{"names": ["x"]}]}, soon)
    assert differs(old, {**old, "conditions": conditions(old["conditions"], Health("no"), soon)}, soon)


def test_this_machine_has_the_facts_of_a_node(tmp_path: Path) -> None:
    machine = read_machine(tmp_path)
    assert machine.capacity()["pods"] == "110"
    assert machine.allocatable()["memory"] == machine.capacity()["memory"]
    assert machine.node_info()["kubeletVersion"].startswith("v1.36")
    made = registration(NodeConfig("n1", ("192.0.2.7",), 10250, "10.244.0.0/24", {"x": "y"}), machine)
    assert made["metadata"]["labels"]["kubernetes.io/hostname"] == "n1"
    assert made["spec"]["podCIDR"] == "10.244.0.0/24"


def test_what_is_reserved_and_what_eviction_keeps_free_is_not_for_pods(tmp_path: Path) -> None:
    box = replace(read_machine(tmp_path), cpus=2, memory_bytes=1 << 30, disk_bytes=1000)
    reserved = reserved_of(box, parse_config(), {"cpu": 250, "memory": 24 << 20})
    made = replace(box, max_pods=9, reserved=reserved)
    assert {**made.allocatable(), "pods": "9"} == {
        **made.capacity(),
        "cpu": "1750m",
        "memory": f"{900 << 10}Ki",
        "ephemeral-storage": "900",
    }


def test_resources_that_others_added_stay_and_are_for_pods() -> None:
    assert extended({"cpu": "2", "example.com/foo": "5", "pods": "110"}) == {"example.com/foo": "5"}
    assert extended(None) == {}
