"""When the server cannot be asked: the cause in one line, exit code 1, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cli.running import RunningCluster


def _config(cluster: RunningCluster, tmp_path: Path, **changes: object) -> str:
    """The admin's kubeconfig with some of its cluster's (cluster_x) or user's (user_x) fields changed."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for name, value in changes.items():
        kind, _, field = name.partition("_")
        entry = config[f"{kind}s"][0][kind]
        entry[field.replace("_", "-")] = value
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    return str(path)


def test_a_refused_connection_is_told_as_kubectl_tells_it(cluster: RunningCluster, tmp_path: Path) -> None:
    path = _config(cluster, tmp_path, cluster_server="https://127.0.0.1:1")
    done = cluster.tiphys("get", "pods", "--kubeconfig", path)
    assert done.code == 1
    first = "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?"
    assert done.err.splitlines()[0] == first
    assert cluster.kubectl("get", "pods", "--kubeconfig", path).err.splitlines()[-1] == first


def test_an_unknown_authority_is_an_error(cluster: RunningCluster, tmp_path: Path) -> None:
    path = _config(cluster, tmp_path, cluster_certificate_authority_data=None)
    done = cluster.tiphys("get", "pods", "--kubeconfig", path)
    assert done.code == 1
    assert "Unable to connect to the server" in done.err
    assert "certificate" in done.err


def test_wrong_credentials_are_unauthorized(cluster: RunningCluster, tmp_path: Path) -> None:
    nobody = {"user_client_certificate_data": None, "user_client_key_data": None, "user_token": "not-a-token"}
    path = _config(cluster, tmp_path, **nobody)
    ours, theirs = (command("get", "pods", "--kubeconfig", path) for command in (cluster.tiphys, cluster.kubectl))
    assert ours.code == theirs.code == 1
    assert ours.err == "error: You must be logged in to the server (Unauthorized)\n"


def test_an_identity_without_permission_is_forbidden(cluster: RunningCluster) -> None:
    path = str(cluster.data_dir / "scheduler.kubeconfig")
    ours = cluster.tiphys("delete", "ns", "default", "--kubeconfig", path)
    theirs = cluster.kubectl("delete", "ns", "default", "--kubeconfig", path)
    assert (ours.code, ours.err) == (theirs.code, theirs.err)
    assert "Forbidden" in ours.err


BROKEN = [
    ("nothing at all", "expected a mapping"),
    ("a: [", "not YAML"),
    ("{}", "current-context is not set"),
    ("current-context: x", 'context "x" does not exist'),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_broken_kubeconfig_is_named(cluster: RunningCluster, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken"
    path.write_text(text)
    done = cluster.tiphys("get", "pods", "--kubeconfig", str(path))
    assert done.code == 1
    assert message in done.err
    assert str(path) in done.err
    assert len(done.err.splitlines()) <= 4


def test_a_missing_kubeconfig_and_an_unknown_context_are_errors(cluster: RunningCluster, tmp_path: Path) -> None:
    done = cluster.tiphys("get", "pods", "--kubeconfig", str(tmp_path / "nope"))
    assert (done.code, done.err) == (1, f"error: {tmp_path / 'nope'}: No such file or directory\n")
    done = cluster.tiphys("get", "pods", "--context", "nope")
    assert done.code == 1
    assert 'context "nope" does not exist' in done.err
