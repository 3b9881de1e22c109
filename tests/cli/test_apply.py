"""`apply`: every document or a clear word about which one was not, and why."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path

import pytest

from tests.cli.running import RunningCluster

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: bad}
spec:
  replicas: %s
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: %s}}, spec: {containers: [{name: c, image: x}]}}
"""


def test_created_unchanged_configured(cluster: RunningCluster) -> None:
    text = MAP % "three" + "data: {a: '%s'}\n"
    said = [cluster.tiphys("apply", "-f", "-", stdin=text % value).out for value in "112"]
    assert said == ["configmap/three created\n", "configmap/three unchanged\n", "configmap/three configured\n"]


def test_lists_directories_and_urls_are_applied(cluster: RunningCluster, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MAP % "dir-a" + "---\n" + MAP % "dir-b")
    (tmp_path / "b.json").write_text(
        '{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"dir-c"}}]}'
    )
    want = "configmap/dir-a created\nconfigmap/dir-b created\nconfigmap/dir-c created\n"
    assert cluster.tiphys("apply", "-f", str(tmp_path)).out == want

    def handler(*arguments: object) -> http.server.SimpleHTTPRequestHandler:
        return http.server.SimpleHTTPRequestHandler(*arguments, directory=str(tmp_path))  # type: ignore[arg-type]

    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        done = cluster.tiphys("apply", "-f", f"http://127.0.0.1:{server.server_port}/a.yaml")
        thread.join()
    assert done.out == "configmap/dir-a unchanged\nconfigmap/dir-b unchanged\n"


REFUSED = [
    (MAP % "u" + "datas: {}\n", ".datas: field not declared in schema"),
    (MAP % "u" + "data: {a: b, a: c}\n", 'nothing was applied: standard input line 4: key "a" already set in map'),
    ("apiVersion: v1\nkind: Foo\nmetadata: {name: u}\n", 'no matches for kind "Foo" in version "v1"'),
    ("apiVersion: apps/v9\nkind: Deployment\nmetadata: {name: u}\n", "the server has it in apps/v1"),
    ("apiVersion: v1\nkind: ConfigMap\nmetadata: {labels: {a: b}}\n", "metadata.name is not set"),
    (DEPLOYMENT % ("three", "b"), ".spec.replicas: expected numeric (int or float), got string"),
    (DEPLOYMENT % (-1, "b"), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    (DEPLOYMENT % (1, "c"), "`selector` does not match template `labels`"),
    (MAP % "Bad_Name", 'metadata.name: Invalid value: "Bad_Name"'),
    (MAP % "{a: b", "document 1 line 4"),
    (MAP % "u" + "metadata: {name: u, namespace: missing}\n", "already set in map"),
    ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: u, namespace: missing}\n", 'namespaces "missing" not found'),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_refusal_names_the_place_and_the_field(cluster: RunningCluster, text: str, message: str) -> None:
    done = cluster.tiphys("apply", "-f", "-", stdin=text)
    assert done.code == 1
    assert done.out == ""
    assert message in done.err
    assert "standard input" in done.err


def test_an_oversized_object_is_refused_by_the_server(cluster: RunningCluster) -> None:
    done = cluster.tiphys("apply", "-f", "-", stdin=MAP % "big" + "data: {a: '" + "x" * 4_000_000 + "'}\n")
    assert (done.code, done.out) == (1, "")
    assert "Request entity too large: limit is 3145728" in done.err


def test_what_was_and_was_not_applied_is_told(cluster: RunningCluster) -> None:
    done = cluster.tiphys(
        "apply", "-f", "-", stdin="---\n".join(MAP % name for name in ("part-a", "Bad_Name", "part-b"))
    )
    assert done.code == 1
    assert done.out == "configmap/part-a created\nconfigmap/part-b created\n"
    assert "standard input document 2 line 5: The ConfigMap" in done.err
    assert "error: 2 of 3 objects applied" in done.err


@pytest.mark.parametrize("second", ["apiVersion: v1\nkind: Foo\nmetadata: {name: x}\n", "metadata: {name: x\n"])
def test_a_document_that_cannot_be_read_stops_everything(cluster: RunningCluster, second: str) -> None:
    done = cluster.tiphys("apply", "-f", "-", stdin=MAP % "never" + "---\n" + second)
    assert (done.code, done.out) == (1, "")
    assert "document 2 line" in done.err
    assert cluster.kubectl("get", "configmap", "never").code == 1


def test_a_dry_run_changes_nothing(cluster: RunningCluster) -> None:
    for where, note in (("server", "server dry run"), ("client", "dry run")):
        done = cluster.tiphys("apply", "-f", "-", f"--dry-run={where}", stdin=MAP % "dry")
        assert (done.code, done.out) == (0, f"configmap/dry created ({note})\n")
        assert cluster.kubectl("get", "configmap", "dry").code == 1


def test_a_conflict_names_the_other_owner_and_the_way_out(cluster: RunningCluster) -> None:
    text = MAP % "owned" + "data: {a: '%s'}\n"
    cluster.ok("apply", "--server-side", "-f", "-", stdin=text % 1)
    done = cluster.tiphys("apply", "-f", "-", stdin=text % 2)
    assert done.code == 1
    assert 'conflict with "kubectl"' in done.err
    assert ".data.a" in done.err
    assert "--force-conflicts" in done.err
    assert cluster.tiphys("apply", "--force-conflicts", "-f", "-", stdin=text % 2).out == "configmap/owned configured\n"


def test_validation_can_be_softened(cluster: RunningCluster) -> None:
    done = cluster.tiphys("apply", "--validate=ignore", "-f", "-", stdin=MAP % "soft" + "data: {a: b, a: c}\n")
    assert (done.code, done.err) == (0, "")
    done = cluster.tiphys("apply", "--validate=warn", "-f", "-", stdin=MAP % "soft" + "data: {a: b, a: c}\n")
    assert done.code == 0
    assert done.err.startswith("Warning: standard input line 4")
