"""`up`, `status` and `down`: idempotent, self-healing, and without a trace afterwards."""

from __future__ import annotations

import base64
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cli.running import RunningCluster, free_port, running_cluster
from tests.cli.waiting import until


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """A cluster of this module's own, which its tests may hurt."""
    with running_cluster(tmp_path_factory.mktemp("up")) as running:
        yield running


def _status(cluster: RunningCluster) -> int:
    return cluster.tiphys("status", "--data-dir", str(cluster.data_dir)).code


def _alive(pid: int) -> bool:
    """Not even a zombie: /proc knows it and its state is not Z."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_second_up_changes_nothing(own: RunningCluster) -> None:
    before = own.states()
    done = own.up()
    assert done.code == 0, done.err
    assert "already running" in done.out
    assert own.states() == before


def test_status_names_every_component_and_node(own: RunningCluster) -> None:
    done = own.tiphys("status", "--data-dir", str(own.data_dir))
    assert done.code == 0, done.out
    for word in ("apiserver", "controllers", "scheduler", "readyz      ok", "fake-node-0  Ready", "fake-node-1  Ready"):
        assert word in done.out


def test_the_kubeconfig_holds_everything_and_is_private(own: RunningCluster) -> None:
    assert stat.S_IMODE(own.kubeconfig.stat().st_mode) == 0o600
    config = yaml.safe_load(own.kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    assert cluster["server"] == f"https://127.0.0.1:{own.port}"
    for data in (
        cluster["certificate-authority-data"],
        user["client-certificate-data"],
        user["client-key-data"],
    ):
        assert base64.b64decode(data).startswith(b"-----BEGIN ")


def test_a_kubeconfig_is_written_elsewhere_only_when_asked(own: RunningCluster) -> None:
    assert not (own.home / ".kube" / "config").exists()
    target = own.home / "chosen" / "config"
    assert own.up("--kubeconfig", str(target)).code == 0
    assert target.read_bytes() == own.kubeconfig.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert not (own.home / ".kube" / "config").exists()


def test_a_killed_component_is_restarted(own: RunningCluster) -> None:
    before = own.states()["controllers"]
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: own.states()["controllers"]["restarts"] == before["restarts"] + 1, "the restart")
    after = own.states()["controllers"]
    assert after["pid"] not in (0, before["pid"])
    assert after["lastExit"] == "killed by SIGKILL"
    assert own.kubectl("create", "deployment", "healed", "--image=x").code == 0
    assert own.kubectl("wait", "--for=condition=Available", "deployment/healed", "--timeout=40s").code == 0


def test_a_killed_api_server_comes_back_with_its_objects(own: RunningCluster) -> None:
    own.ok("create", "configmap", "kept")
    os.kill(own.states()["apiserver"]["pid"], signal.SIGKILL)
    until(lambda: own.kubectl("get", "configmap", "kept").code == 0, "the API server")
    until(lambda: _status(own) == 0, "a healthy status")


def test_a_busy_port_is_named_before_anything_is_made(tmp_path: Path, own: RunningCluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        directory = tmp_path / "data"
        done = own.tiphys("up", "--no-node", "--data-dir", str(directory), "--port", str(port))
    assert done.code == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in done.err
    assert not directory.exists()


def test_a_directory_that_is_no_cluster_is_never_purged(tmp_path: Path, own: RunningCluster) -> None:
    (tmp_path / "precious").write_text("x")
    done = own.tiphys("down", "--purge", "--data-dir", str(tmp_path))
    assert done.code == 1
    assert "nothing was touched" in done.err
    assert (tmp_path / "precious").exists()


def test_down_leaves_no_process_and_up_brings_the_objects_back(own: RunningCluster) -> None:
    own.ok("create", "configmap", "survivor")
    pids = [state["pid"] for state in own.states().values()]
    supervisor = int((own.data_dir / "supervisor.lock").read_text())
    assert own.down().code == 0
    assert [pid for pid in [supervisor, *pids] if _alive(pid)] == []
    assert _status(own) == 1
    assert own.tiphys("get", "pods").err.startswith(f"The connection to the server 127.0.0.1:{own.port} was refused")
    assert own.down().code == 0  # nothing to stop is no error
    assert own.up().code == 0
    assert own.ok("get", "configmap", "survivor", "-o", "name") == "configmap/survivor\n"


def test_down_with_purge_deletes_the_directory(tmp_path: Path) -> None:
    with running_cluster(tmp_path) as short:
        assert short.down("--purge").code == 0
        assert not short.data_dir.exists()
        assert _status(short) == 1


def test_a_pod_can_be_made_the_moment_up_returns(tmp_path: Path) -> None:
    """Without nodes `up` is done soonest: the default ServiceAccount must be there all the same."""
    (tmp_path / "home").mkdir()
    fresh = RunningCluster(tmp_path / "data", tmp_path / "home", free_port())
    try:
        done = fresh.tiphys("up", "--data-dir", str(fresh.data_dir), "--port", str(fresh.port), "--no-node")
        assert done.code == 0, done.err
        assert fresh.ok("run", "first", "--image=example.com/web:1") == "pod/first created\n"
    finally:
        fresh.down("--purge")
