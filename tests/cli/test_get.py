"""`get` beyond a table: watches, and names the server would like a terminal to obey."""

from __future__ import annotations

import sys

from tests.cli.running import TIPHYS, RunningCluster


def test_a_watch_prints_what_there_is_and_every_change_in_the_same_columns(cluster: RunningCluster) -> None:
    cluster.ok("create", "configmap", "watched", "--from-literal=a=1")
    words = ["get", "configmap", "watched", "-w", "--no-headers"]
    with cluster.following([*TIPHYS, *words]) as wait:
        wait(lambda text: text.count("watched") == 1)
        cluster.ok("patch", "configmap", "watched", "-p", '{"data":{"b":"2"}}')
        lines = wait(lambda text: text.count("watched") == 2).splitlines()
    assert [line.split()[:2] for line in lines] == [["watched", "1"], ["watched", "2"]]


def test_a_watch_can_print_names_and_yaml(cluster: RunningCluster) -> None:
    cluster.ok("create", "configmap", "named", "--from-literal=a=1")
    with cluster.following([*TIPHYS, "get", "configmap", "named", "-o", "name", "-w"]) as wait:
        wait(lambda text: text == "configmap/named\n")
        cluster.ok("label", "configmap", "named", "x=y1")
        wait(lambda text: text == "configmap/named\n" * 2)
    with cluster.following([*TIPHYS, "get", "configmap", "named", "-o", "yaml", "-w"]) as wait:
        wait(lambda text: "x: y1" in text)
        cluster.ok("label", "configmap", "named", "x=y2", "--overwrite")
        assert "\n---\n" in wait(lambda text: "x: y2" in text)


def test_escape_sequences_do_not_reach_the_terminal(cluster: RunningCluster) -> None:
    event = """{"apiVersion": "v1", "kind": "Event", "metadata": {"name": "hostile"}, "type": "Normal", "reason": "Hi",
        "lastTimestamp": "2026-01-01T00:00:00Z", "message": "\\u001b[2Jgone\\u0007 \\u202enarrow",
        "involvedObject": {"kind": "ConfigMap", "name": "esc", "namespace": "default", "uid": "%s"}}"""
    text = "a: \\u001b]0;owned\\u0007"
    manifest = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "esc"}, "data": {"k": "%s"}}' % text  # noqa: UP031
    cluster.ok("create", "-f", "-", stdin=manifest)
    uid = cluster.ok("get", "configmap", "esc", "-o", "jsonpath={.metadata.uid}")
    cluster.ok("create", "-f", "-", stdin=event % uid)
    outputs = [
        cluster.tiphys("describe", "configmap", "esc").out,
        cluster.tiphys("events", "--for", "configmap/esc").out,
        cluster.tiphys("get", "events").out,
        cluster.tiphys("get", "configmap", "esc", "-o", "yaml").out,
    ]
    assert "^[]0;owned?" in outputs[0]
    assert "^[[2Jgone? ?narrow" in outputs[1]
    for output in outputs:
        assert [char for char in output if not char.isprintable() and char not in "\n"] == []


def test_a_short_command_does_not_load_models_or_event_loops(cluster: RunningCluster) -> None:
    program = (
        "import sys; from tiphys.cli.main import main; main(['get', 'pods']);"
        "print([name for name in ('pydantic', 'aiohttp', 'asyncio', 'tiphys.api.kinds') if name in sys.modules])"
    )
    from tests.cli.running import run

    done = run([sys.executable, "-c", program], cluster.environment)
    assert done.out.splitlines()[-1] == "[]", done.err
