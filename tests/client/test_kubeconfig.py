"""kubeconfig files as kubectl reads them."""

import base64
import stat
from pathlib import Path

import pytest
import yaml

from tiphys.client.kubeconfig import KubeconfigError, load_kubeconfig, write_kubeconfig


def kubeconfig(path: Path, **parts: object) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://c:6443/"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "current-context": "x",
        **parts,
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_what_is_written_is_read_back_and_private(tmp_path: Path) -> None:
    file = tmp_path / "admin.kubeconfig"
    write_kubeconfig(file, "https://127.0.0.1:6443", b"CA", b"CERT", b"KEY")
    config = load_kubeconfig(str(file))
    assert (config.server, config.ca_data, config.client_cert_data, config.client_key_data) == (
        "https://127.0.0.1:6443",
        b"CA",
        b"CERT",
        b"KEY",
    )
    assert config.namespace == "default"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_context_names_cluster_user_and_namespace(tmp_path: Path) -> None:
    config = load_kubeconfig(str(kubeconfig(tmp_path / "config")))
    assert (config.server, config.token, config.namespace) == ("https://c:6443", "secret", "shop")


def test_file_fields_are_relative_to_their_file_and_data_fields_win(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"from file")
    (tmp_path / "token").write_text("from token file\n")
    inline = base64.b64encode(b"inline").decode()
    cluster = {"server": "https://c", "certificate-authority": "ca.pem"}
    user = {"tokenFile": "token", "client-key": "missing.key", "client-key-data": inline}
    file = kubeconfig(
        tmp_path / "config", clusters=[{"name": "c", "cluster": cluster}], users=[{"name": "u", "user": user}]
    )
    config = load_kubeconfig(str(file))
    assert config.ca_data == b"from file"
    assert config.token == "from token file"
    assert config.client_key_data == b"inline"


def test_of_several_files_the_first_that_names_something_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kubeconfig(tmp_path / "1", clusters=[{"name": "other", "cluster": {"server": "https://other"}}])
    second = kubeconfig(tmp_path / "2", **{"current-context": "y"})
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'missing'}:{second}")
    assert load_kubeconfig().server == "https://c:6443"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"current-context": ""}, "current-context is not set"),
        ({"current-context": "nope"}, 'context "nope" does not exist'),
        ({"users": []}, 'user "u" does not exist'),
        ({"clusters": [{"name": "c", "cluster": {}}]}, 'cluster "c" has no server'),
        (
            {"clusters": [{"name": "c", "cluster": {"server": "https://c", "certificate-authority-data": "%%"}}]},
            "certificate-authority-data: not base64",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, parts: dict[str, object], message: str) -> None:
    with pytest.raises(KubeconfigError, match=message):
        load_kubeconfig(str(kubeconfig(tmp_path / "config", **parts)))


def test_a_missing_file_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(KubeconfigError, match="tiphys up"):
        load_kubeconfig()
